#include "rsm/compare/comparison.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "rsm/compare/comparison_testing.h"
#include "rsm/data/certainty.h"

namespace rsm::report {
namespace {

/** Sums of a few decimal fractions round in the last bits. */
constexpr double kRounding = 1e-12;

Comparison compare_examples(const std::vector<ExampleRun>& examples,
                            const ComparisonOptions& options = {}) {
  std::vector<ComparedRun> runs;
  for (const auto& example : examples) runs.push_back(read_example(example));
  return compare_runs(runs, options);
}

std::vector<std::string> labels(const Comparison& comparison) {
  std::vector<std::string> out;
  for (const auto& setting : comparison.settings) {
    out.push_back(setting.label());
  }
  return out;
}

/** From 0.4 to `after` in `seconds`, on a straight line in time and drift. */
ExampleRun straight(double after, double seconds, uint64_t seed = 1,
                    const std::string& lr = "0.001") {
  ExampleRun run = {.seed = seed, .lr = lr};
  run.points.clear();
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    run.points.push_back(
        {share * seconds, 0.4 + share * (after - 0.4), share * 0.004});
  }
  return run;
}

TEST(Comparison, RunsThatDifferInSeedAloneAreOneSetting) {
  const auto out = compare_examples({{.seed = 3}, {.seed = 1}, {.seed = 2}});
  ASSERT_EQ(out.settings.size(), 1u);
  const auto& setting = out.settings[0];
  EXPECT_EQ(setting.label(), "some_method");
  ASSERT_EQ(setting.runs.size(), 3u);
  EXPECT_EQ(setting.setting.runs[0].seed, 1u);
  EXPECT_EQ(setting.setting.runs[2].seed, 3u);
}

TEST(Comparison, EqualLabelsGetTheKeysTheyDifferIn) {
  EXPECT_EQ(labels(compare_examples({{.lr = "0.001"}, {.lr = "0.003"}})),
            (std::vector<std::string>{"some_method, train.lr=0.001",
                                      "some_method, train.lr=0.003"}));
  EXPECT_EQ(labels(compare_examples({{.lr = "0.001", .label = "slow"},
                                     {.lr = "0.003", .label = "fast"}})),
            (std::vector<std::string>{"fast", "slow"}));
}

TEST(Comparison, LabelsOfManyDifferencesNameThoseThatTell) {
  std::vector<ComparedRun> runs = {read_example({}), read_example({.seed = 2}),
                                   read_example({.seed = 3})};
  for (const char* key : {"a", "b", "c", "d"}) {
    runs[0].config[key] = "long value";
    runs[1].config[key] = "long value";
    runs[2].config[key] = "other";
  }
  runs[1].config["train.lr"] = "0.1";
  runs[2].config["train.lr"] = "0.2";
  const auto out = compare_runs(runs);
  EXPECT_EQ(labels(out),
            (std::vector<std::string>{"some_method, train.lr=0.001, ...",
                                      "some_method, train.lr=0.1, ...",
                                      "some_method, train.lr=0.2, ..."}));
}

TEST(Comparison, ASeedCountsOnce) {
  auto twin = read_example({});
  twin.folder = "copy";
  expect_parts(error_of([&] {
                 compare_runs({read_example({}), twin});
               }),
               {"[compare]", "copy", "lr0.001-1", "the seed 1", "counts once"});
  EXPECT_THROW(compare_runs({twin, twin}), UsageError);
}

TEST(Comparison, MeansAndDeviationsAreOverSeeds) {
  const auto out =
      compare_examples({straight(0.6, 10, 1), straight(0.7, 20, 2)});
  const auto& setting = out.settings[0];
  EXPECT_NEAR(setting.before.mean, 0.4, kRounding);
  EXPECT_NEAR(setting.after.mean, 0.65, kRounding);
  EXPECT_NEAR(setting.after.deviation, 0.1 / std::sqrt(2.0), kRounding);
  EXPECT_NEAR(setting.gain.mean, 0.25, kRounding);
  EXPECT_EQ(setting.spent.seconds.mean, 15);
  EXPECT_EQ(setting.spent.images.mean, 150);
  EXPECT_EQ(setting.spent.evaluations.mean, 750);
}

TEST(Comparison, OneSeedHasItsPicturesError) {
  const auto out = compare_examples({straight(0.6, 10)});
  EXPECT_TRUE(std::isnan(out.settings[0].after.deviation));
  EXPECT_EQ(out.settings[0].runs[0].error.standard, 0.046);
  EXPECT_EQ(out.settings[0].runs[0].gain_error.standard, 0.03);
}

/** Scores of 40 prompts that differ much, each raised by `gain` and by a little
 * of its own. */
PictureScores example_pictures(double gain, uint64_t seed = 1) {
  PictureScores out;
  out.seed = seed;
  for (int64_t i = 0; i < 40; ++i) {
    out.prompts.push_back(i);
    out.members.push_back(0);
    out.categories.emplace_back("");
    const double own = gain > 0 ? 0.01 * static_cast<double>(i % 3) : 0;
    out.metrics["strict"].push_back(static_cast<double>(i % 7) + gain + own);
  }
  return out;
}

TEST(Comparison, RunsOfOneSeedArePairedPictureByPicture) {
  auto a = read_example(straight(0.7, 10, 1, "a"));
  auto b = read_example(straight(0.6, 10, 1, "b"));
  a.pictures = example_pictures(0.1);
  b.pictures = example_pictures(0);
  const auto lag = compare_runs({a, b}).settings[1].lag;
  EXPECT_NEAR(lag.difference, 0.1, kRounding);
  EXPECT_TRUE(lag.paired && lag.one_seed() && lag.is_sure());
  // 0.01 (i mod 3) has a standard deviation of 0.0083.
  EXPECT_NEAR(lag.error.standard, 0.0083 / std::sqrt(40.0), 0.0001);
  // Of other noise they are not.
  b.pictures = example_pictures(0, 2);
  const auto apart = compare_runs({a, b}).settings[1].lag;
  EXPECT_FALSE(apart.paired);
  EXPECT_NEAR(apart.error.standard, std::hypot(0.046, 0.046), kRounding);
  EXPECT_FALSE(apart.is_sure());
}

TEST(Comparison, SettingsOfSeveralSeedsAreComparedOverSeeds) {
  const auto out =
      compare_examples({straight(0.6, 10, 1, "a"), straight(0.62, 10, 2, "a"),
                        straight(0.5, 10, 1, "b"), straight(0.52, 10, 2, "b")});
  const auto& lag = out.settings[1].lag;
  EXPECT_FALSE(lag.one_seed());
  EXPECT_NEAR(lag.difference, 0.1, kRounding);
  // Two means of two, each with a deviation of 0.0141: two degrees of freedom.
  EXPECT_NEAR(lag.error.standard, 0.01 * std::sqrt(2.0), 1e-9);
  EXPECT_NEAR(lag.error.freedom, 2, 1e-9);
  EXPECT_TRUE(std::isnan(out.settings[0].lag.difference));
}

TEST(Comparison, ARunAgainstSeveralSeedsHasTheErrorOfBoth) {
  const auto out =
      compare_examples({straight(0.6, 10, 1, "a"), straight(0.62, 10, 2, "a"),
                        straight(0.3, 10, 1, "b")});
  const auto& lag = out.settings[1].lag;
  EXPECT_EQ(lag.over, Lag::Over::seeds_and_pictures);
  EXPECT_TRUE(lag.one_seed());
  EXPECT_NEAR(lag.error.standard, std::hypot(0.01, 0.046), 1e-9);
}

/** In how many of 1000 comparisons of equal settings of three seeds each one is
 * said to be surely worse than the best. */
int wrong_comparisons(size_t settings) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal;
  int wrong = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    Comparison comparison;
    for (size_t i = 0; i < settings; ++i) {
      std::vector<double> seeds;
      for (int s = 0; s < 3; ++s) seeds.push_back(normal(random));
      SettingResult setting;
      setting.after = statistics_of(seeds);
      comparison.settings.push_back(setting);
    }
    std::sort(comparison.settings.begin(), comparison.settings.end(),
              [](const auto& a, const auto& b) {
                return a.after.mean > b.after.mean;
              });
    const auto error = [](const SeedStatistics& s) {
      return MeanError{s.deviation / std::sqrt(3.0), 2};
    };
    const auto& best = comparison.settings.front().after;
    wrong += std::any_of(
        comparison.settings.begin() + 1, comparison.settings.end(),
        [&](const SettingResult& other) {
          const Lag lag = {
              .difference = best.mean - other.after.mean,
              .error = error_of_both(error(best), error(other.after))};
          return lag.is_sure(comparison.pairs());
        });
  }
  return wrong;
}

TEST(Comparison, TheBestOfEqualSettingsIsNotSurelyBetterThanAnother) {
  Comparison ten;
  ten.settings.resize(10);
  EXPECT_EQ(ten.pairs(), 45u);
  // 4.55 % are 46; with one statement each, ten settings make 350.
  EXPECT_LT(wrong_comparisons(10), 46 + 3 * 6.6);
  EXPECT_LT(wrong_comparisons(2), 46 + 3 * 6.6);
}

TEST(Comparison, AnUnknownErrorIsNoCertainty) {
  auto a = read_example(straight(0.9, 10, 1, "a"));
  auto b = read_example(straight(0.5, 10, 1, "b"));
  for (auto* run : {&a, &b}) {
    for (auto& line : run->epochs) {
      line.evaluation->all.errors.clear();
      line.evaluation->all.change_errors.clear();
    }
  }
  const auto out = compare_runs({a, b});
  EXPECT_FALSE(out.settings[1].lag.error.is_known());
  EXPECT_FALSE(out.settings[1].lag.is_sure());
}

TEST(Comparison, WhatIsWatchedIsComparedWithItsOwnStart) {
  auto run = straight(0.6, 10);
  run.points.front().texture = 2e-4;
  run.points.back().texture = 5e-4;
  run.points.front().diversity = 0.25;
  const auto out = compare_examples({run});
  EXPECT_EQ(out.watched, (std::vector<std::string>{"texture", "diversity"}));
  EXPECT_NEAR(out.settings[0].watched[0].mean, 2.5, kRounding);
  EXPECT_NEAR(out.settings[0].watched[1].mean, 0.8, kRounding);
}

TEST(Comparison, TimeToTargetIsExactOnStraightCurves) {
  for (const double target : {0.4, 0.41, 0.5, 0.575, 0.6}) {
    const auto out = compare_examples({straight(0.6, 80)}, {.target = target});
    const double share = (target - 0.4) / 0.2;
    const auto& run = out.settings[0].runs[0];
    EXPECT_NEAR(run.to_target.seconds, 80 * share, 80 * kRounding);
    EXPECT_NEAR(run.to_target.images, 800 * share, 800 * kRounding);
    EXPECT_NEAR(run.to_target.evaluations, 4000 * share, 4000 * kRounding);
  }
}

TEST(Comparison, RunsThatNeverReachTheTargetCountAsLatest) {
  const std::vector<ExampleRun> runs = {
      straight(0.6, 10, 1), straight(0.6, 30, 2), straight(0.45, 10, 3)};
  const auto two = compare_examples(runs, {.target = 0.5}).settings[0];
  EXPECT_EQ(two.reached, 2);
  EXPECT_NEAR(two.to_target.seconds.low, 5, kRounding);
  EXPECT_NEAR(two.to_target.seconds.median, 15, kRounding);
  EXPECT_TRUE(std::isinf(two.to_target.seconds.high));
  const auto none = compare_examples(runs, {.target = 0.9}).settings[0];
  EXPECT_EQ(none.reached, 0);
  EXPECT_TRUE(std::isinf(none.to_target.seconds.median));
}

TEST(Comparison, DefaultTargetLiesHalfwayToTheBest) {
  EXPECT_EQ(
      compare_examples({straight(0.61, 10, 1, "1"), straight(0.5, 10, 1, "2")})
          .target,
      0.51);
  // Two decimals would leave the range.
  EXPECT_EQ(compare_examples({straight(0.404, 10)}).target, 0.402);
  EXPECT_TRUE(std::isnan(compare_examples({straight(0.3, 10)}).target));
}

TEST(Comparison, SpeedIsMeasuredAgainstTheSlowest) {
  const std::vector<ExampleRun> runs = {straight(0.6, 10, 1, "fast"),
                                        straight(0.6, 40, 1, "slow"),
                                        straight(0.41, 90, 1, "lost")};
  const auto out = compare_examples(runs, {.target = 0.5});
  EXPECT_EQ(out.baseline, "some_method, train.lr=slow");
  EXPECT_NEAR(out.settings[0].sooner, 4, kRounding);
  EXPECT_EQ(out.settings[1].sooner, 1);
  EXPECT_TRUE(std::isnan(out.settings[2].sooner));
  const auto other = compare_examples(
      runs, {.target = 0.5, .baseline = "some_method, train.lr=fast"});
  EXPECT_NEAR(other.settings[1].sooner, 0.25, kRounding);
  expect_parts(error_of([&] { compare_examples(runs, {.baseline = "fast"}); }),
               {"--baseline", "\"fast\"", "train.lr=slow"});
}

TEST(Comparison, EqualDriftIsTheSmallestEndAndExactOnStraightCurves) {
  auto far = straight(0.8, 10, 1, "far");
  for (auto& point : far.points) point.kl *= 4;
  const auto out = compare_examples({straight(0.6, 10, 1, "near"), far});
  EXPECT_EQ(out.kl, 0.004);
  // The one that drifts far is a quarter of its way there.
  EXPECT_NEAR(out.settings[0].at_kl.mean, 0.5, kRounding);
  EXPECT_NEAR(out.settings[1].at_kl.mean, 0.6, kRounding);
  const auto at = compare_examples({far}, {.kl = 0.008});
  EXPECT_NEAR(at.settings[0].at_kl.mean, 0.6, kRounding);
}

TEST(Comparison, DriftThatComesBackCountsWhereItWasFirst) {
  ExampleRun run;
  run.points = {
      {0, 0.4, 0}, {10, 0.5, 0.004}, {20, 0.7, 0.002}, {30, 0.8, 0.003}};
  const auto out = compare_examples({run});
  EXPECT_EQ(out.kl, 0.003);
  EXPECT_NEAR(out.settings[0].at_kl.mean, 0.475, kRounding);
}

TEST(Comparison, BestSettingComesFirstAndThoseWithoutResultLast) {
  auto begun = straight(0.9, 10, 1, "a");
  begun.points.resize(1);
  const auto out =
      compare_examples({begun, straight(0.5, 10, 1, "b"),
                        straight(0.6, 10, 1, "d"), straight(0.6, 10, 1, "c")});
  EXPECT_EQ(labels(out),
            (std::vector<std::string>{
                "some_method, train.lr=c", "some_method, train.lr=d",
                "some_method, train.lr=b", "some_method, train.lr=a"}));
  EXPECT_TRUE(std::isnan(out.settings[3].after.mean));
  EXPECT_NEAR(out.settings[3].before.mean, 0.4, kRounding);
}

TEST(Comparison, RunsWithoutAnyEvaluationAreNoError) {
  auto empty = read_example({.seed = 2});
  empty.epochs.clear();
  const auto out = compare_runs({read_example({}), empty});
  EXPECT_EQ(out.settings[0].runs.size(), 2u);
  EXPECT_EQ(out.settings[0].after.count, 1);
}

TEST(Comparison, MetricsAreTheRunsMainOneOrAskedFor) {
  EXPECT_EQ(compare_examples({{}}).metric, "strict");
  EXPECT_EQ(compare_examples({{}}, {.metric = "texture"}).metric, "texture");
  expect_parts(error_of([] { compare_examples({{}}, {.metric = "stict"}); }),
               {"--metric", "did you mean \"strict\""});
  auto other = read_example({.seed = 2});
  other.main_metric = "texture";
  expect_parts(error_of([&] {
                 compare_runs({read_example({}), other});
               }),
               {"[compare]", "strict, texture", "--metric"});
  EXPECT_EQ(compare_runs({read_example({}), other}, {.metric = "strict"})
                .settings.size(),
            1u);
  EXPECT_THROW(compare_runs({}), Error);
}

}  // namespace
}  // namespace rsm::report
