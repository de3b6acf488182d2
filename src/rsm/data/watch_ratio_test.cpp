#include "rsm/data/watch_ratio.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rsm {
namespace {

TEST(WatchRatio, IsOfWhatItWas) {
  EXPECT_EQ(watch_ratio("edges", {{"edges", 0.2}}, {{"edges", 0.1}}), 0.5);
  EXPECT_NEAR(
      watch_ratio("outputs", {{"outputs", 0}}, {{"outputs", std::log(3.0)}}), 3,
      1e-12);
  EXPECT_TRUE(std::isnan(watch_ratio("edges", {}, {{"edges", 0.1}})));
  EXPECT_TRUE(std::isnan(watch_ratio("edges", {{"edges", 0}}, {{"edges", 1}})));
}

TEST(KeptShare, IsLostByGrowthToo) {
  EXPECT_EQ(kept_share("edges", 4), 0.25);
  EXPECT_EQ(kept_share("edges", 0.25), 0.25);
  EXPECT_EQ(kept_share("diversity", 4), 1);
  EXPECT_EQ(kept_share("feature_diversity", 0.25), 0.25);
  for (const char* worse_if_more : {"niqe", "brisque"}) {
    EXPECT_EQ(kept_share(worse_if_more, 4), 0.25);
    EXPECT_EQ(kept_share(worse_if_more, 0.25), 1);
    EXPECT_TRUE(std::isnan(kept_share(worse_if_more, NAN)));
  }
  EXPECT_TRUE(std::isnan(kept_share("colours", NAN)));
}

TEST(LeastKept, IsTheWorstThatIsKnown) {
  const WatchNumbers first = {{"edges", 0.2}, {"colours", 4}, {"diversity", 0}};
  EXPECT_EQ(least_kept(first, {{"edges", 0.2}, {"colours", 1}}), 0.25);
  EXPECT_EQ(least_kept(first, first), 1);
  EXPECT_TRUE(std::isnan(least_kept({}, first)));
}

}  // namespace
}  // namespace rsm
