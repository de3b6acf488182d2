#include "rsm/estimators/advantages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/testing.h"
#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Spread = EstimatorKnobs::Spread;

// Far above all advantages of these tests.
constexpr double kNoClip = 1000;

EstimatorKnobs knobs_of(Baseline baseline, Spread spread) {
  EstimatorKnobs knobs;
  knobs.baseline = baseline;
  knobs.spread = spread;
  return knobs;
}

Advantages advantages_of(const torch::Tensor& reward,
                         const std::vector<int64_t>& group, Spread spread,
                         double clip = 5) {
  return group_advantages(reward, group, knobs_of(Baseline::mean, spread),
                          clip);
}

/** Every way to compare within groups. */
std::vector<EstimatorKnobs> all_knobs() {
  std::vector<EstimatorKnobs> out;
  for (const auto baseline :
       {Baseline::mean, Baseline::leave_one_out, Baseline::none}) {
    for (const auto spread : {Spread::group, Spread::global, Spread::none}) {
      for (const bool unbiased : {false, true}) {
        out.push_back(knobs_of(baseline, spread));
        out.back().unbiased_spread = unbiased;
      }
    }
  }
  return out;
}

std::string label(const EstimatorKnobs& knobs) {
  return cat("baseline ", static_cast<int>(knobs.baseline), " spread ",
             static_cast<int>(knobs.spread), " unbiased ",
             knobs.unbiased_spread);
}

/** Sixteenths, so that shifts and scalings by 2 are exact in float32. */
torch::Tensor some_rewards(uint64_t seed, int64_t count) {
  return (counted_normal(seed, {count}) * 16).round() / 16;
}

const std::vector<int64_t> kGroups = {5, -2, 5, -2, -2, 5, 5, 9, 9, -2, 5, 9};

void expect_near(const std::vector<float>& a, const std::vector<float>& b,
                 double tolerance, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t r = 0; r < a.size(); ++r) {
    EXPECT_NEAR(a[r], b[r], tolerance) << what << " row " << r;
  }
}

TEST(Advantages, MoveWithTheirRows) {
  const auto reward = some_rewards(1, 12);
  const auto order = counted_permutation(2, 12);
  std::vector<int64_t> moved_group;
  for (const int64_t r : order) moved_group.push_back(kGroups[r]);
  const auto moved_reward = reward.index_select(0, torch::tensor(order));
  for (const auto& knobs : all_knobs()) {
    const auto a = group_advantages(reward, kGroups, knobs, kNoClip);
    const auto moved =
        group_advantages(moved_reward, moved_group, knobs, kNoClip);
    std::vector<float> expected;
    for (const int64_t r : order) expected.push_back(values(a)[r]);
    // Sums in another order.
    expect_near(values(moved), expected, kOneUlp, label(knobs));
  }
}

TEST(Advantages, DoNotSeeAConstantInTheRewards) {
  const auto reward = some_rewards(3, 12);
  for (const auto& knobs : all_knobs()) {
    if (knobs.baseline == Baseline::none) continue;
    const auto a = group_advantages(reward, kGroups, knobs, kNoClip);
    const auto shifted = group_advantages(reward + 64, kGroups, knobs, kNoClip);
    expect_near(values(shifted), values(a), kOneUlp, label(knobs));
  }
}

TEST(Advantages, FollowTheScaleOfRewardsOnlyUndivided) {
  const auto reward = some_rewards(4, 12);
  for (auto knobs : all_knobs()) {
    auto expected = values(group_advantages(reward, kGroups, knobs, kNoClip));
    if (knobs.spread == Spread::none) {
      for (float& a : expected) a *= 8;
    }
    knobs.spread_offset *= 8;
    const auto a = group_advantages(reward * 8, kGroups, knobs, kNoClip);
    // A power of two scales every intermediate number without rounding.
    EXPECT_EQ(values(a), expected) << label(knobs);
  }
}

TEST(Advantages, OfAGroupDependOnThatGroupAlone) {
  const auto reward = some_rewards(5, 12);
  for (const auto& knobs : all_knobs()) {
    if (knobs.spread == Spread::global) continue;
    const auto a = group_advantages(reward, kGroups, knobs, kNoClip);
    for (const int64_t group : {5, -2, 9}) {
      std::vector<int64_t> rows;
      std::vector<float> expected;
      for (size_t r = 0; r < kGroups.size(); ++r) {
        if (kGroups[r] != group) continue;
        rows.push_back(static_cast<int64_t>(r));
        expected.push_back(values(a)[r]);
      }
      const auto alone = group_advantages(
          reward.index_select(0, torch::tensor(rows)),
          std::vector<int64_t>(rows.size(), 0), knobs, kNoClip);
      EXPECT_EQ(values(alone), expected) << label(knobs);
    }
  }
}

TEST(Advantages, SumToZeroInEveryGroup) {
  for (const auto& knobs : all_knobs()) {
    if (knobs.baseline == Baseline::none) continue;
    const auto a = group_advantages(rewards({.1f, .5f, .2f, 3, 8, 1, 4}),
                                    {5, -2, 5, -2, -2, 5, 5}, knobs, kNoClip);
    std::vector<double> sums(2, 0);
    for (size_t r = 0; r < 7; ++r) sums[a.group[r]] += values(a)[r];
    // float32 values of order 10.
    EXPECT_NEAR(sums[0], 0, 1e-5) << label(knobs);
    EXPECT_NEAR(sums[1], 0, 1e-5) << label(knobs);
  }
}

TEST(Advantages, LeavingOneOutIsCentringTimesKOverKMinusOne) {
  const auto reward = some_rewards(6, 12);
  const std::vector<int64_t> size = {5, 4, 3};  // of kGroups' 5, -2 and 9
  for (const auto spread : {Spread::group, Spread::global, Spread::none}) {
    const auto centred = advantages_of(reward, kGroups, spread, kNoClip);
    const auto a = group_advantages(
        reward, kGroups, knobs_of(Baseline::leave_one_out, spread), kNoClip);
    for (size_t r = 0; r < kGroups.size(); ++r) {
      const auto k = static_cast<float>(size[a.group[r]]);
      EXPECT_FLOAT_EQ(values(a)[r], values(centred)[r] * k / (k - 1));
    }
  }
  // 6 - (1 + 2) / 2, 1 - (2 + 6) / 2, 2 - (1 + 6) / 2
  const auto a =
      group_advantages(rewards({6, 1, 2}), {0, 0, 0},
                       knobs_of(Baseline::leave_one_out, Spread::none), 5);
  EXPECT_FLOAT_EQ(values(a)[0], 4.5);
  EXPECT_FLOAT_EQ(values(a)[1], -3);
  EXPECT_FLOAT_EQ(values(a)[2], -1.5);
}

TEST(Advantages, ReproducePublishedValues) {
  const std::vector<int64_t> group(6, 7);
  const auto binary =
      advantages_of(rewards({0, 1, 1, 0, 1, 0}), group, Spread::group);
  for (size_t r = 0; r < 6; ++r) {
    const double sign = (r == 1 || r == 2 || r == 4) ? 1 : -1;
    EXPECT_NEAR(values(binary)[r], sign * 0.9998, 1e-6);
  }
  const auto graded = advantages_of(
      rewards({.21f, .24f, .22f, .27f, .20f, .26f}), group, Spread::group);
  const std::vector<double> expected = {-0.907777, 0.259365,  -0.518730,
                                        1.426507,  -1.296824, 1.037459};
  for (size_t r = 0; r < 6; ++r) {
    EXPECT_NEAR(values(graded)[r], expected[r],
                kSixDigits * std::abs(expected[r]));
  }
}

TEST(Advantages, DivideByTheSpreadAskedFor) {
  const auto reward = rewards({0, 2, 10, 14});
  const std::vector<int64_t> group = {0, 0, 1, 1};
  const double all =
      std::sqrt((6.5 * 6.5 + 4.5 * 4.5 + 3.5 * 3.5 + 7.5 * 7.5) / 4);
  const auto by_group = advantages_of(reward, group, Spread::group);
  EXPECT_FLOAT_EQ(values(by_group)[3], 2 / 2.0001);
  EXPECT_FLOAT_EQ(values(advantages_of(reward, group, Spread::global))[3],
                  2 / (all + 1e-4));
  EXPECT_FLOAT_EQ(values(advantages_of(reward, group, Spread::none))[3], 2);
  EXPECT_DOUBLE_EQ(by_group.deviation[1], 2);
  auto knobs = knobs_of(Baseline::mean, Spread::group);
  knobs.unbiased_spread = true;
  knobs.spread_offset = 0.5;
  // Squares 4 + 4 over 2 - 1; the spread told stays the population's.
  const auto unbiased = group_advantages(reward, group, knobs, 5);
  EXPECT_FLOAT_EQ(values(unbiased)[3], 2 / (std::sqrt(8) + 0.5));
  EXPECT_DOUBLE_EQ(unbiased.deviation[1], 2);
  knobs.spread = Spread::global;
  EXPECT_FLOAT_EQ(values(group_advantages(reward, group, knobs, 5))[3],
                  2 / (all * std::sqrt(4.0 / 3) + 0.5));
}

TEST(Advantages, AreClippedOnBothSides) {
  std::vector<float> reward(101, 0);
  reward[7] = 1;
  const std::vector<int64_t> group(101, 0);
  EXPECT_FLOAT_EQ(
      values(advantages_of(rewards(reward), group, Spread::group))[7], 5);
  reward[7] = -1;
  EXPECT_FLOAT_EQ(
      values(advantages_of(rewards(reward), group, Spread::group))[7], -5);
}

TEST(Advantages, EqualRewardsMakeADeadGroup) {
  // Thirds have no exact mean in float32.
  const float third = 1.0f / 3;
  for (const auto& knobs : all_knobs()) {
    const auto a = group_advantages(
        rewards({third, third, third, 0, 1, third, third, third}),
        {0, 0, 0, 1, 1, 0, 0, 0}, knobs, 5);
    const bool dies = knobs.baseline != Baseline::none;
    EXPECT_EQ(a.groups(), 2);
    EXPECT_EQ(a.dead_groups, dies ? 1 : 0) << label(knobs);
    EXPECT_EQ(a.dead, (std::vector<bool>{dies, false})) << label(knobs);
    for (const int64_t r : {0, 1, 2, 5, 6, 7}) {
      EXPECT_EQ(alive(a)[r], !dies) << label(knobs);
      if (dies) {
        EXPECT_EQ(values(a)[r], 0);
      }
    }
    EXPECT_TRUE(alive(a)[3] && alive(a)[4]) << label(knobs);
  }
}

/** Large rewards with small differences, as of a judge that counts bytes. */
TEST(Advantages, WhatRoundingMakesOfLargeRewardsIsNoDifference) {
  const auto of = [](const std::vector<double>& rewards, const auto& knobs) {
    return group_advantages(torch::tensor(rewards, torch::kFloat64),
                            std::vector<int64_t>(rewards.size(), 0), knobs, 5);
  };
  double rounded = 0;
  for (const auto& knobs : all_knobs()) {
    if (knobs.baseline == Baseline::none) continue;
    for (int k = 1; k <= 30; ++k) {
      const double r = 1e6 + 0.1 * k;
      const std::vector<double> equal(static_cast<size_t>(k), r);
      EXPECT_EQ(of(equal, knobs).dead_groups, 1) << label(knobs) << " " << k;
      const auto a = of({r - 0.1, r, r + 0.1}, knobs);
      EXPECT_EQ(a.differs[0].item<bool>() && a.differs[2].item<bool>(), true);
      EXPECT_FALSE(a.differs[1].item<bool>()) << label(knobs) << " " << k;
      rounded = std::max<double>(rounded, std::abs(values(a)[1]));
    }
  }
  EXPECT_GT(rounded, 1e-12);
}

TEST(Advantages, AGroupOfOneIsDeadUnlessNothingIsTakenOff) {
  for (const auto& knobs : all_knobs()) {
    const auto a = group_advantages(rewards({3, 1, 2}), {0, 1, 1}, knobs, 5);
    EXPECT_EQ(alive(a)[0], knobs.baseline == Baseline::none) << label(knobs);
    EXPECT_TRUE(std::isfinite(values(a)[0])) << label(knobs);
  }
}

TEST(Advantages, WithoutABaselineAreTheRewards) {
  const auto a =
      group_advantages(rewards({3, 3, -1, 2}), {0, 0, 1, 1},
                       knobs_of(Baseline::none, Spread::none), kNoClip);
  EXPECT_EQ(values(a), (std::vector<float>{3, 3, -1, 2}));
  auto knobs = knobs_of(Baseline::none, Spread::group);
  knobs.spread_offset = 0;
  const auto divided =
      group_advantages(rewards({3, 3, -1, 2}), {0, 0, 1, 1}, knobs, kNoClip);
  EXPECT_EQ(values(divided)[0], 0);  // by a spread of 0
  EXPECT_FLOAT_EQ(values(divided)[3], 2 / 1.5);
}

TEST(Advantages, NameTheRewardThatIsNotFinite) {
  const auto bad = rewards({1, 2, std::numeric_limits<float>::quiet_NaN()});
  expect_parts(error_of([&] {
                 advantages_of(bad, {0, 0, 0}, Spread::group);
               }),
               {"row 2 of 3"});
}

TEST(Advantages, RefuseWhatHasNoMeaning) {
  const auto two = rewards({1, 2});
  EXPECT_THROW(advantages_of(two, {0}, Spread::group), Error);
  EXPECT_THROW(advantages_of(two, {0, 0}, Spread::group, 0), Error);
  auto knobs = knobs_of(Baseline::running, Spread::group);
  EXPECT_THROW(group_advantages(two, {0, 0}, knobs, 5), Error);
  knobs = knobs_of(Baseline::mean, Spread::group);
  knobs.spread_offset = -1e-9;
  EXPECT_THROW(group_advantages(two, {0, 0}, knobs, 5), Error);
}

}  // namespace
}  // namespace rsm
