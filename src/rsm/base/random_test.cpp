#include "rsm/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace rsm {
namespace {

TEST(CountedSeed, DependsOnEveryCounterAndTheirOrder) {
  std::set<uint64_t> seeds;
  for (uint64_t run = 0; run < 4; ++run) {
    for (const auto purpose : {Purpose::initial_noise, Purpose::step_noise}) {
      for (uint64_t a = 0; a < 6; ++a) {
        seeds.insert(counted_seed(run, purpose, {a}));
        for (uint64_t b = 0; b < 6; ++b) {
          seeds.insert(counted_seed(run, purpose, {a, b}));
        }
      }
    }
  }
  EXPECT_EQ(seeds.size(), 4u * 2 * (6 + 36));
}

TEST(CountedNormal, IsStandardNormalAndRepeats) {
  const auto x = counted_normal(3, {100000});
  EXPECT_TRUE(at::equal(x, counted_normal(3, {100000})));
  EXPECT_FALSE(at::equal(x, counted_normal(4, {100000})));
  // Standard errors of 100,000 numbers: 0.003 and 0.002.
  EXPECT_NEAR(x.mean().item<double>(), 0, 0.015);
  EXPECT_NEAR(x.std().item<double>(), 1, 0.01);
}

TEST(CountedNormal, NeighbouringSeedsAreUncorrelated) {
  const auto a =
      counted_normal(counted_seed(1, Purpose::step_noise, {1, 2}), {20000});
  const auto b =
      counted_normal(counted_seed(1, Purpose::step_noise, {1, 3}), {20000});
  EXPECT_NEAR((a * b).mean().item<double>(), 0, 0.03);  // 4 standard errors
}

TEST(CountedPermutation, IsAPermutationThatDependsOnTheSeed) {
  auto order = counted_permutation(5, 50);
  EXPECT_EQ(order, counted_permutation(5, 50));
  EXPECT_NE(order, counted_permutation(6, 50));
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(order[i], i);
  }
  EXPECT_TRUE(counted_permutation(1, 0).empty());
}

TEST(CountedUniform, FillsItsRangeEvenly) {
  std::vector<int64_t> tenths(10, 0);
  for (uint64_t seed = 0; seed < 10000; ++seed) {
    const double x = counted_uniform(seed);
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    ++tenths[static_cast<size_t>(10 * x)];
  }
  // Standard error of a count: 30.
  for (const int64_t count : tenths) EXPECT_NEAR(count, 1000, 150);
}

TEST(CountedChoice, DrawsAsTheWeightsSay) {
  const auto drawn = counted_choice(3, {0, 1, 0, 3, 0}, 10000);
  EXPECT_EQ(drawn, counted_choice(3, {0, 1, 0, 3, 0}, 10000));
  EXPECT_NE(drawn, counted_choice(4, {0, 1, 0, 3, 0}, 10000));
  const auto ones = std::count(drawn.begin(), drawn.end(), 1);
  const auto threes = std::count(drawn.begin(), drawn.end(), 3);
  EXPECT_EQ(ones + threes, 10000);
  EXPECT_NEAR(ones, 2500, 220);  // 5 standard errors
}

}  // namespace
}  // namespace rsm
