#include "rsm/runs/average.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"
#include "rsm/runs/testing.h"

namespace rsm {
namespace {

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

/** Decays of the evaluated average after s updates, of DiffusionNFT's release
 * (at most 0.9) and AWM's (0.99): min((1 + s) / (10 + s), decay). */
TEST(Average, WarmsUpByThePublishedTable) {
  struct Row {
    int64_t updates;
    double nft, awm;
  };
  const std::vector<Row> table = {{0, 0.1, 0.1},
                                  {1, 0.181818, 0.181818},
                                  {2, 0.25, 0.25},
                                  {10, 0.55, 0.55},
                                  {50, 0.85, 0.85},
                                  {75, 0.894118, 0.894118},
                                  {76, 0.895349, 0.895349},
                                  {100, 0.9, 0.918182},
                                  {150, 0.9, 0.94375},
                                  {200, 0.9, 0.957143},
                                  {208, 0.9, 0.958716},
                                  {209, 0.9, 0.958904},
                                  {300, 0.9, 0.970968},
                                  {500, 0.9, 0.982353},
                                  {1000, 0.9, 0.99}};
  RunOptions options;
  options.ema_warmup = true;
  for (const auto& row : table) {
    options.ema_decay = 0.9;
    expect_digits(average_decay(options, row.updates), row.nft);
    options.ema_decay = 0.99;
    expect_digits(average_decay(options, row.updates), row.awm);
    options.ema_decay = 0.01;  // lower than any step of the warm-up
    EXPECT_EQ(average_decay(options, row.updates), 0.01);
  }
  options.ema_warmup = false;
  options.ema_decay = 0.99;
  EXPECT_EQ(average_decay(options, 0), 0.99);
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
