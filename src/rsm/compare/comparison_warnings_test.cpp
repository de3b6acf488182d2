#include "rsm/compare/comparison_warnings.h"

#include <gtest/gtest.h>

#include "rsm/compare/comparison_testing.h"
#include "rsm/io/testing.h"

namespace rsm::report {
namespace {

/** Without the one on single seeds, which all of these would have. */
std::vector<std::string> warnings_of(const std::vector<ComparedRun>& runs) {
  auto out = compare_runs(runs).warnings;
  std::erase_if(out, [](const auto& text) {
    return text.starts_with(
        "One "
        "seed");
  });
  return out;
}

/** Two settings that compare well. */
std::vector<ComparedRun> fair_pair() {
  return {in_memory({.lr = "1", .label = "slow"}),
          in_memory({.lr = "2", .label = "fast"})};
}

/** Fails unless there is one warning, with these parts. */
void expect_warning(const std::vector<ComparedRun>& runs,
                    const std::vector<std::string>& parts) {
  const auto warnings = warnings_of(runs);
  ASSERT_EQ(warnings.size(), 1u) << join(warnings, "\n");
  expect_parts(warnings[0], parts);
}

TEST(ComparisonWarnings, FairComparisonsHaveNone) {
  EXPECT_EQ(warnings_of(fair_pair()), std::vector<std::string>());
}

TEST(ComparisonWarnings, SingleSeedsSayWhatTheyCannotShow) {
  const auto of = [](const std::vector<ComparedRun>& runs) {
    return join(compare_runs(runs).warnings, "\n");
  };
  auto runs = fair_pair();
  expect_parts(of(runs), {"One seed: \"fast\", \"slow\" have one seed",
                          "seed-to-seed variation that one seed cannot show",
                          "those of the pictures"});
  runs.push_back(in_memory({.seed = 2, .lr = "1", .label = "slow"}));
  expect_parts(of(runs), {"One seed: \"fast\" has one seed"});
  runs.push_back(in_memory({.seed = 2, .lr = "2", .label = "fast"}));
  EXPECT_EQ(of(runs), "");
  // Nothing is compared.
  EXPECT_EQ(of({in_memory({})}), "");
}

TEST(ComparisonWarnings, TasksThatDifferAreNamed) {
  for (const char* key :
       {"model", "reward", "sampling.guidance_scale", "sampling.steps",
        "prompts.train", "evaluation.prompts", "evaluation.images",
        "evaluation.steps"}) {
    auto runs = fair_pair();
    runs[0].config[key] = "this";
    runs[1].config[key] = "that";
    expect_warning(
        runs, {"Not the same task", key, "that (\"fast\")", "this (\"slow\")"});
  }
}

TEST(ComparisonWarnings, MachinesThatDifferMakeTimesUncomparable) {
  auto runs = fair_pair();
  runs[1].machine = "old laptop";
  expect_warning(runs, {"Times do not compare", "old laptop (\"lr2-1\")"});
  runs = fair_pair();
  runs[1].config["compute.threads"] = "8";
  expect_warning(runs, {"Times do not compare", "compute.threads", "8"});
}

TEST(ComparisonWarnings, UnfinishedRunsAreNamed) {
  auto runs = fair_pair();
  runs[0].finished = false;
  expect_warning(runs, {"Not finished", "\"lr1-1\"", "seed 1", "epoch 3"});
}

TEST(ComparisonWarnings, EqualSeedsMustStartEqually) {
  auto runs = fair_pair();
  runs[1].points[0].scores.metrics["strict"] = 0.41;
  expect_warning(runs, {"Not the same start", "0.400000 (\"lr1-1\")",
                        "0.410000 (\"lr2-1\")"});
}

TEST(ComparisonWarnings, OtherSeedsMayStartDifferently) {
  auto a = in_memory({.seed = 1}), b = in_memory({.seed = 2});
  b.points[0].scores.metrics["strict"] = 0.41;
  EXPECT_EQ(warnings_of({a, b}), std::vector<std::string>());
}

TEST(ComparisonWarnings, SettingsShouldHaveTheSameSeeds) {
  auto runs = fair_pair();
  runs.push_back(in_memory({.seed = 2, .lr = "2", .label = "fast"}));
  expect_warning(runs, {"seeds", "1 (\"slow\")", "1, 2 (\"fast\")"});
}

TEST(ComparisonWarnings, WhatIsWatchedShowsRewardHacking) {
  auto runs = fair_pair();
  runs[1].points.back().scores.metrics["texture"] = 3e-4;
  expect_warning(runs, {"texture", "3 times in \"fast\""});
}

TEST(ComparisonWarnings, WhatIsWatchedMayChangeByChance) {
  auto runs = fair_pair();
  auto& scores = runs[1].points.back().scores;
  scores.metrics["texture"] = 3e-4;
  scores.change_errors["texture"] = {2e-4, 1e7};
  EXPECT_EQ(warnings_of(runs), std::vector<std::string>());
  scores.change_errors["texture"] = {0.5e-4, 1e7};
  expect_warning(runs, {"texture", "3 times in \"fast\""});
}

TEST(ComparisonWarnings, FewerKindsOfPicturesAreNamed) {
  auto runs = fair_pair();
  auto& diversity = runs[1].points.back().scores.metrics["diversity"];
  diversity *= 0.7;
  EXPECT_EQ(warnings_of(runs), std::vector<std::string>());
  diversity *= 0.7;
  expect_warning(runs, {"differ far less", "0.49 times in \"fast\""});
}

TEST(ComparisonWarnings, SettingsOfTwoNamesAreNamed) {
  expect_warning({in_memory({.seed = 1, .label = "slow"}),
                  in_memory({.seed = 2, .label = "fast"})},
                 {"several names", "\"fast\", \"slow\""});
}

TEST(ComparisonWarnings, FewEvaluationsMakeCoarseCurves) {
  auto runs = fair_pair();
  runs[0].points.erase(runs[0].points.begin() + 1, runs[0].points.begin() + 3);
  expect_warning(runs, {"Coarse curves", "\"lr1-1\" has 2 evaluations"});
}

TEST(ComparisonWarnings, LongListsOfNamesAreCounted) {
  std::vector<ComparedRun> runs;
  for (uint64_t seed = 1; seed <= 7; ++seed) {
    runs.push_back(in_memory({.seed = seed}));
    runs.back().machine = seed < 2 ? "one" : "other";
  }
  expect_warning(runs, {"one (\"lr0.001-1\")", " and 2 more)"});
}

}  // namespace
}  // namespace rsm::report
