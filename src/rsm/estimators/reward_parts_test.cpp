#include "rsm/estimators/reward_parts.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using Combine = EstimatorKnobs::Combine;

RewardScores parted(const std::vector<RewardPart>& parts) {
  RewardScores out;
  out.value = at::zeros_like(parts.front().value);
  for (const auto& part : parts) out.value += part.weight * part.value;
  out.parts = parts;
  return out;
}

torch::Tensor normal_rewards(uint64_t seed, int64_t count) {
  return counted_normal(seed, {count}).to(at::kFloat);
}

/** `count` pictures in groups of eight. */
std::vector<int64_t> eights(int64_t count) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(i / 8);
  return out;
}

EstimatorKnobs combining(Combine combine) {
  EstimatorKnobs knobs;
  knobs.combine = combine;
  return knobs;
}

TEST(RewardParts, OneRewardHasNone) {
  const auto scores = parted({{"a", 1, normal_rewards(1, 8)}});
  EXPECT_TRUE(part_standings(scores, eights(8), EstimatorKnobs()).empty());
}

TEST(RewardParts, AreTheClosedFormOfTwoInOneGroup) {
  // Centred: a = (-1, 0, 1), b = (1, -2, 1): a b = 0, so T = a + 0.5 b has
  // aT = 2, bT = 0.5 * 6 = 3, TT = 2 + 0.25 * 6 = 3.5.
  const auto scores = parted({{"a", 1, rewards({4, 5, 6})},
                              {"b", 0.5, rewards({8, 5, 8})},
                              {"c", 0, rewards({0, 0, -2})}});
  const auto all =
      part_standings(scores, {3, 3, 3}, combining(Combine::rewards));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].mean, 5);
  EXPECT_NEAR(all[1].deviation, std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(all[0].correlation, 2 / std::sqrt(2 * 3.5), 1e-12);
  EXPECT_NEAR(all[1].correlation, 3 / std::sqrt(6 * 3.5), 1e-12);
  EXPECT_NEAR(all[0].share, 2 / 3.5, 1e-12);
  EXPECT_NEAR(all[1].share, 0.5 * 3 / 3.5, 1e-12);
  // c - mean = (2, 2, -4) / 3 and T = (-0.5, -1, 1.5): c T = -3, cc = 8 / 3.
  EXPECT_NEAR(all[2].correlation, -3 / std::sqrt(8.0 / 3 * 3.5), 1e-12);
  EXPECT_EQ(all[2].share, 0);
}

TEST(RewardParts, SharesAddUpToOneHoweverRewardsAreCombined) {
  const auto scores = parted({{"a", 1, normal_rewards(1, 64)},
                              {"b", -3, normal_rewards(2, 64)},
                              {"c", 0, normal_rewards(3, 64)},
                              {"d", 0.1, 20 * normal_rewards(4, 64)}});
  for (const auto combine :
       {Combine::rewards, Combine::advantages, Combine::normalised}) {
    double sum = 0;
    for (const auto& part :
         part_standings(scores, eights(64), combining(combine))) {
      sum += part.share;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(RewardParts, UnitsMatterUnlessRewardsAreComparedOneByOne) {
  const auto a = normal_rewards(1, 64), b = normal_rewards(2, 64);
  const auto share_of_a = [&](double unit, Combine combine) {
    return part_standings(parted({{"a", 1, a}, {"b", 1, unit * b}}), eights(64),
                          combining(combine))[0]
        .share;
  };
  EXPECT_LT(share_of_a(100, Combine::rewards), 0.05);
  EXPECT_NEAR(share_of_a(100, Combine::advantages),
              share_of_a(1, Combine::advantages), 1e-3);  // the offset
  EXPECT_GT(share_of_a(100, Combine::advantages), 0.3);
}

TEST(RewardParts, TotalIsWhatAdvantagesAre) {
  // One group a prompt, so that paths' advantages are compared in it.
  auto rollout = small_rollout(false);
  auto knobs = combining(Combine::advantages);
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.grouping = EstimatorKnobs::Grouping::prompt;
  const auto scores = parted(
      {{"a", 1, rewards({1, 4, 2, 3})}, {"b", -0.5, rewards({5, 1, 7, 9})}});
  const auto value = row_advantages(rollout, scores, knobs, 1e9, nullptr).value;
  double square = 0;
  for (int64_t row = 0; row < rollout.rows(); row += 2) {  // two an image
    square += std::pow(value[row].item<double>(), 2);
  }
  // In groups of two both parts are +-1 times their weight.
  const auto all = part_standings(scores, {0, 0, 1, 1}, knobs);
  EXPECT_NEAR(all[0].share * square,
              1 * ((1 + 0.5) * 1 * 2 + (1 - 0.5) * 1 * 2), 2e-3);
}

TEST(RewardParts, DeadGroupsAreCountedAndSaid) {
  auto b = normal_rewards(2, 32);
  b.slice(0, 0, 16).fill_(0.25);  // two of four groups
  const auto knobs = combining(Combine::rewards);
  auto all =
      part_standings(parted({{"a", 1, normal_rewards(1, 32)}, {"b", 1, b}}),
                     eights(32), knobs);
  EXPECT_EQ(all[0].dead_groups, 0);
  EXPECT_EQ(all[1].dead_groups, 2);
  EXPECT_EQ(all[1].groups, 4);
  const auto said = part_warnings(all, knobs);
  ASSERT_EQ(said.size(), 1u);
  expect_parts(said[0], {"b has no spread in 2 of 4 groups"});
  b.slice(0, 8, 16).copy_(normal_rewards(3, 8));
  all = part_standings(parted({{"a", 1, normal_rewards(1, 32)}, {"b", 1, b}}),
                       eights(32), knobs);
  EXPECT_EQ(all[1].dead_groups, 1);
  EXPECT_TRUE(part_warnings(all, knobs).empty());
  // All the same is said elsewhere; what weighs nothing, nowhere.
  const auto same = at::full({32}, 2.f);
  for (const double weight : {1.0, 0.0}) {
    all = part_standings(
        parted({{"a", 1, normal_rewards(1, 32)}, {"b", weight, same}}),
        eights(32), knobs);
    EXPECT_EQ(all[1].dead_groups, 4);
    EXPECT_TRUE(std::isnan(all[1].correlation));
    EXPECT_TRUE(part_warnings(all, knobs).empty());
  }
}

TEST(RewardParts, OnesThatFallAgainstTheTotalAreNamed) {
  const auto a = normal_rewards(1, 128), b = normal_rewards(2, 128);
  const auto knobs = combining(Combine::rewards);
  const auto said = [&](double weight, const torch::Tensor& other) {
    return part_warnings(
        part_standings(parted({{"a", 1, 5 * a}, {"b", weight, other}}),
                       eights(128), knobs),
        knobs);
  };
  EXPECT_TRUE(said(1, b).empty());           // by chance a little
  EXPECT_TRUE(said(1, a + b).empty());       // rises with it
  EXPECT_TRUE(said(0, -a).empty());          // trains nothing
  EXPECT_TRUE(said(-1, a + b).size() == 1);  // its fall is outweighed
  const auto texts = said(1, b - a);
  ASSERT_EQ(texts.size(), 1u);
  expect_parts(texts[0], {"b falls where the trained total rises",
                          "correlation -0.", "estimator.combine: advantages"});
}

TEST(RewardParts, OnesOfSmallUnitsAreNamedUnlessEachIsComparedByItself) {
  const auto a = normal_rewards(1, 128), b = normal_rewards(2, 128);
  const auto said = [&](double scale, Combine combine) {
    const auto knobs = combining(combine);
    return part_warnings(
        part_standings(parted({{"a", 1, a}, {"b", 1, scale * b}}), eights(128),
                       knobs),
        knobs);
  };
  EXPECT_TRUE(said(0.5, Combine::rewards).empty());
  const auto texts = said(0.01, Combine::rewards);
  ASSERT_EQ(texts.size(), 1u);
  expect_parts(texts[0], {"b makes up", "% of what is learnt",
                          "estimator.combine: advantages"});
  EXPECT_TRUE(said(0.01, Combine::advantages).empty());
}

TEST(RewardParts, FewPicturesSayNothing) {
  const auto knobs = combining(Combine::rewards);
  const auto all = part_standings(
      parted({{"a", 1, rewards({10, 0})}, {"b", 1, rewards({0, 1})}}), {0, 0},
      combining(Combine::rewards));
  EXPECT_NEAR(all[1].correlation, -1, 1e-12);
  EXPECT_TRUE(part_warnings(all, knobs).empty());
  // Pictures that are alone have nothing to be compared with.
  const auto alone = part_standings(
      parted({{"a", 1, rewards({10, 0})}, {"b", 1, rewards({0, 1})}}), {0, 1},
      combining(Combine::rewards));
  EXPECT_EQ(alone[0].groups, 0);
  EXPECT_TRUE(std::isnan(alone[0].correlation));
  EXPECT_TRUE(part_warnings(alone, knobs).empty());
}

TEST(RewardParts, AreOneNumberAPicture) {
  EXPECT_THROW(part_standings(parted({{"a", 1, normal_rewards(1, 8)},
                                      {"b", 1, normal_rewards(2, 8)}}),
                              eights(9), EstimatorKnobs()),
               Error);
}

}  // namespace
}  // namespace rsm
