#include "rsm/runs/average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

RunOptions options_with(const std::vector<std::string>& overrides) {
  return read_run_options(Config::load("configs/shapes/demo.yaml", overrides));
}

/** What is in the average of a number that is 0 before and 1 after training. */
double followed(const RunOptions& options, int64_t updates) {
  double average = 0;
  for (int64_t n = 1; n <= updates; ++n) {
    if (n % options.ema_every == 0) {
      average += (1 - average) * (1 - average_decay(options, n));
    }
  }
  return average;
}

TEST(Average, HoldsTheShareThatItsStepsGiveIt) {
  RunOptions options;
  for (const double decay : {0.0, 0.5, 0.9, 0.9999, 1.0}) {
    for (const int64_t every : {1, 3, 8}) {
      for (const bool warmup : {false, true}) {
        options.ema_decay = decay;
        options.ema_every = every;
        options.ema_warmup = warmup;
        for (const int64_t updates : {0, 1, 2, 7, 16, 400}) {
          EXPECT_NEAR(learnt_share(options, updates),
                      followed(options, updates), 1e-9)
              << decay << " " << every << " " << warmup << " " << updates;
        }
      }
    }
  }
}

TEST(Average, ThatCannotMoveIsAWarningOfTheRun) {
  const auto warnings = [](std::vector<std::string> overrides) {
    overrides.push_back("train.epochs=8");
    overrides.push_back("train.updates_per_epoch=2");
    return options_with(overrides).warnings;
  };
  const auto still = warnings({"train.ema_decay=0.9999"});
  ASSERT_EQ(still.size(), 1u);
  expect_parts(still[0], {"train.ema_decay 0.9999", "16 updates", "0.16 %"});
  EXPECT_TRUE(warnings({"train.ema_decay=0.9"}).empty());
  EXPECT_TRUE(
      warnings({"train.ema_decay=0.9999", "train.ema_warmup=true"}).empty());
  const auto slow = warnings({"train.ema_decay=0.9", "train.ema_every=4"});
  ASSERT_EQ(slow.size(), 1u);
  expect_parts(slow[0], {"16 updates", "; 0 lets it follow"});
  EXPECT_TRUE(warnings({"train.ema_decay=0", "train.ema_every=4"}).empty());
  const auto never = warnings({"train.ema_decay=0", "train.ema_every=17"});
  ASSERT_EQ(never.size(), 1u);
  expect_parts(never[0], {"train.ema_every 17", "16 updates", "lower it"});
  // Pictures end it after the first epoch.
  EXPECT_EQ(warnings({"train.ema_decay=0.9", "train.max_images=1"}).size(), 1u);
  EXPECT_TRUE(options_with({"train.epochs=0"}).warnings.empty());
}

}  // namespace
}  // namespace rsm
