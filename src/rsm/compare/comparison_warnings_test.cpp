#include "rsm/compare/comparison_warnings.h"

#include <gtest/gtest.h>

#include <functional>

#include "rsm/compare/comparison_testing.h"

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
  return {read_example({.lr = "1", .label = "slow"}),
          read_example({.lr = "2", .label = "fast"})};
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
  runs.push_back(read_example({.seed = 2, .lr = "1", .label = "slow"}));
  expect_parts(of(runs), {"One seed: \"fast\" has one seed"});
  runs.push_back(read_example({.seed = 2, .lr = "2", .label = "fast"}));
  EXPECT_EQ(of(runs), "");
  // Nothing is compared.
  EXPECT_EQ(of({read_example({})}), "");
}

Scores& first_scores(ComparedRun& run) {
  return run.epochs.front().evaluation->all;
}
Scores& last_scores(ComparedRun& run) {
  return run.epochs.back().evaluation->all;
}

/** What makes a fair pair, and perhaps further runs, hard to compare. */
struct Case {
  std::function<void(std::vector<ComparedRun>&)> spoil;
  std::vector<std::string> parts;
};

TEST(ComparisonWarnings, WhatMakesRunsHardToCompareIsNamed) {
  const std::vector<Case> cases = {
      {[](auto& runs) { runs[1].machine = "old laptop"; },
       {"Times do not compare", "old laptop (\"lr2-1\")"}},
      {[](auto& runs) { runs[1].config["compute.threads"] = "8"; },
       {"Times do not compare", "compute.threads", "8"}},
      {[](auto& runs) { runs[0].finished = false; },
       {"Not finished", "\"lr1-1\"", "seed 1", "epoch 3"}},
      {[](auto& runs) { first_scores(runs[1]).metrics["strict"] = 0.41; },
       {"Not the same start", "0.400000 (\"lr1-1\")", "0.410000 (\"lr2-1\")"}},
      {[](auto& runs) {
         runs.push_back(read_example({.seed = 2, .lr = "2", .label = "fast"}));
       },
       {"seeds", "1 (\"slow\")", "1, 2 (\"fast\")"}},
      {[](auto& runs) { last_scores(runs[1]).metrics["texture"] = 3e-4; },
       {"texture", "3 times in \"fast\""}},
      {[](auto& runs) {
         last_scores(runs[1]).metrics["texture"] = 3e-4;
         last_scores(runs[1]).change_errors["texture"] = {0.5e-4, 1e7};
       },
       {"texture", "3 times in \"fast\""}},
      {[](auto& runs) { last_scores(runs[1]).metrics["diversity"] *= 0.49; },
       {"differ far less", "0.49 times in \"fast\""}},
      {[](auto& runs) {
         runs = {read_example({.seed = 1, .label = "slow"}),
                 read_example({.seed = 2, .label = "fast"})};
       },
       {"several names", "\"fast\", \"slow\""}},
      {[](auto& runs) {
         auto& lines = runs[0].epochs;
         lines.erase(lines.begin() + 1, lines.begin() + 3);
       },
       {"Coarse curves", "\"lr1-1\" has 2 evaluations"}},
      {[](auto& runs) {
         runs.clear();
         for (uint64_t seed = 1; seed <= 7; ++seed) {
           runs.push_back(read_example({.seed = seed}));
           runs.back().machine = seed < 2 ? "one" : "other";
         }
       },
       {"one (\"lr0.001-1\")", " and 2 more)"}}};
  for (const auto& [spoil, parts] : cases) {
    auto runs = fair_pair();
    spoil(runs);
    expect_warning(runs, parts);
  }
}

TEST(ComparisonWarnings, TasksThatDifferAreNamed) {
  for (const char* key :
       {"model", "reward", "evaluation.guidance_scale",
        "sampling.negative_prompt", "sampling.steps", "prompts.train",
        "evaluation.prompts", "evaluation.images", "evaluation.steps",
        "evaluation.solver", "evaluation.sa.tau"}) {
    auto runs = fair_pair();
    runs[0].config[key] = "this";
    runs[1].config[key] = "that";
    expect_warning(
        runs, {"Not the same task", key, "that (\"fast\")", "this (\"slow\")"});
  }
}

/** Scores compare where evaluations are guided alike, however training is. */
TEST(ComparisonWarnings, GuidanceOfSamplingMattersWhereOthersFollowIt) {
  auto runs = fair_pair();
  runs[0].config["sampling.guidance_scale"] = "1";
  runs[1].config["sampling.guidance_scale"] = "4.5";
  const auto of_old_runs = warnings_of(runs);
  ASSERT_EQ(of_old_runs.size(), 2u) << join(of_old_runs, "\n");
  expect_parts(of_old_runs[0],
               {"Not the same task", "evaluation.guidance_scale",
                "1 (\"slow\")", "4.5 (\"fast\")"});
  expect_parts(of_old_runs[1], {"Drifts do not compare", "train.guidance_scale",
                                "1 (\"slow\")", "4.5 (\"fast\")"});
  runs[1].config["evaluation.guidance_scale"] = "1";
  expect_warning(runs, {"Drifts do not compare", "train.guidance_scale"});
  runs[1].config["train.guidance_scale"] = "1";
  EXPECT_EQ(warnings_of(runs), std::vector<std::string>());
}

TEST(ComparisonWarnings, OtherSeedsMayStartDifferently) {
  auto a = read_example({.seed = 1}), b = read_example({.seed = 2});
  first_scores(b).metrics["strict"] = 0.41;
  EXPECT_EQ(warnings_of({a, b}), std::vector<std::string>());
}

TEST(ComparisonWarnings, WhatIsWatchedMayChangeByChanceOrALittle) {
  auto runs = fair_pair();
  last_scores(runs[0]).metrics["diversity"] *= 0.7;
  last_scores(runs[1]).metrics["texture"] = 3e-4;
  last_scores(runs[1]).change_errors["texture"] = {2e-4, 1e7};
  EXPECT_EQ(warnings_of(runs), std::vector<std::string>());
}

}  // namespace
}  // namespace rsm::report
