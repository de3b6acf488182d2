#include "rsm/estimators/advantages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Spread = EstimatorKnobs::Spread;
using Grouping = EstimatorKnobs::Grouping;

// Published values have six digits.
constexpr double kSixDigits = 5.1e-6;

std::vector<float> values(const Advantages& advantages) {
  const float* data = advantages.value.const_data_ptr<float>();
  return {data, data + advantages.value.numel()};
}

torch::Tensor rewards(std::vector<float> of) { return torch::tensor(of); }

/** 2 prompts, 2 roots each, 3 steps; branches K = (2, 3), or a path. */
Rollout small_rollout(bool branches) {
  Rollout rollout;
  rollout.transitions.resize(3);
  for (int64_t root = 0; root < 4; ++root) {
    if (!branches) rollout.image_prompt.push_back(root / 2);
    for (int64_t step = 0; step < 2; ++step) {
      rollout.state_root.push_back(root);
      rollout.state_prompt.push_back(root / 2);
      rollout.state_step.push_back(step);
      for (int64_t k = 0; k < (branches ? 2 + step : 1); ++k) {
        rollout.row_state.push_back(rollout.states() - 1);
        rollout.row_image.push_back(branches ? rollout.images() : root);
        if (branches) rollout.image_prompt.push_back(root / 2);
      }
    }
  }
  return rollout;
}

TEST(Advantages, ReproducePublishedValues) {
  const std::vector<int64_t> group(6, 7);
  const auto binary =
      group_advantages(rewards({0, 1, 1, 0, 1, 0}), group, Spread::group, 5);
  for (size_t r = 0; r < 6; ++r) {
    const double sign = (r == 1 || r == 2 || r == 4) ? 1 : -1;
    EXPECT_NEAR(values(binary)[r], sign * 0.9998, 1e-6);
  }
  const auto graded = group_advantages(
      rewards({.21f, .24f, .22f, .27f, .20f, .26f}), group, Spread::group, 5);
  const std::vector<double> expected = {-0.907777, 0.259365,  -0.518730,
                                        1.426507,  -1.296824, 1.037459};
  for (size_t r = 0; r < 6; ++r) {
    EXPECT_NEAR(values(graded)[r], expected[r],
                kSixDigits * std::abs(expected[r]));
  }
}

TEST(Advantages, SumToZeroInEveryGroup) {
  for (const auto spread : {Spread::group, Spread::global, Spread::none}) {
    const auto a = group_advantages(rewards({.1f, .5f, .2f, 3, 8, 1, 4}),
                                    {5, -2, 5, -2, -2, 5, 5}, spread, 1000);
    std::vector<double> sums(2, 0);
    for (size_t r = 0; r < 7; ++r) sums[a.group[r]] += values(a)[r];
    // float32 values of order 10.
    EXPECT_NEAR(sums[0], 0, 1e-5);
    EXPECT_NEAR(sums[1], 0, 1e-5);
  }
}

TEST(Advantages, DivideByTheSpreadAskedFor) {
  const auto reward = rewards({0, 2, 10, 14});
  const std::vector<int64_t> group = {0, 0, 1, 1};
  const double all =
      std::sqrt((6.5 * 6.5 + 4.5 * 4.5 + 3.5 * 3.5 + 7.5 * 7.5) / 4);
  const auto by_group = group_advantages(reward, group, Spread::group, 5);
  const auto global = group_advantages(reward, group, Spread::global, 5);
  const auto none = group_advantages(reward, group, Spread::none, 5);
  EXPECT_FLOAT_EQ(values(by_group)[3], 2 / 2.0001);
  EXPECT_FLOAT_EQ(values(global)[3], 2 / (all + 1e-4));
  EXPECT_FLOAT_EQ(values(none)[3], 2);
  EXPECT_DOUBLE_EQ(by_group.spread[1], 2);
}

TEST(Advantages, AreClippedOnBothSides) {
  std::vector<float> reward(101, 0);
  reward[7] = 1;
  const std::vector<int64_t> group(101, 0);
  EXPECT_FLOAT_EQ(
      values(group_advantages(rewards(reward), group, Spread::group, 5))[7], 5);
  reward[7] = -1;
  EXPECT_FLOAT_EQ(
      values(group_advantages(rewards(reward), group, Spread::group, 5))[7],
      -5);
}

TEST(Advantages, EqualRewardsMakeADeadGroup) {
  // Thirds have no exact mean in float32.
  const float third = 1.0f / 3;
  const auto a = group_advantages(
      rewards({third, third, third, 0, 1, third, third, third}),
      {0, 0, 0, 1, 1, 0, 0, 0}, Spread::global, 5);
  EXPECT_EQ(a.groups(), 2);
  EXPECT_EQ(a.dead_groups, 1);
  for (const int64_t r : {0, 1, 2, 5, 6, 7}) {
    EXPECT_FALSE(a.alive[r].item<bool>());
    EXPECT_EQ(values(a)[r], 0);
  }
  EXPECT_TRUE(a.alive[3].item<bool>());
  EXPECT_TRUE(a.alive[4].item<bool>());
}

TEST(Advantages, NameTheRewardThatIsNotFinite) {
  try {
    group_advantages(rewards({1, 2, std::numeric_limits<float>::quiet_NaN()}),
                     {0, 0, 0}, Spread::group, 5);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("row 2 of 3"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(group_advantages(rewards({1, 2}), {0}, Spread::group, 5), Error);
  EXPECT_THROW(group_advantages(rewards({1, 2}), {0, 0}, Spread::group, 0),
               Error);
}

int64_t distinct(const Rollout& rollout, EstimatorKnobs knobs,
                 Grouping grouping) {
  knobs.grouping = grouping;
  const auto labels = row_groups(rollout, knobs);
  return group_advantages(torch::zeros({rollout.rows()}), labels, Spread::group,
                          5)
      .groups();
}

TEST(RowGroups, PartBranchesByStepButNotPaths) {
  EstimatorKnobs knobs;
  const auto branches = small_rollout(true);
  EXPECT_EQ(distinct(branches, knobs, Grouping::seed), 4 * 2);
  EXPECT_EQ(distinct(branches, knobs, Grouping::prompt), 2 * 2);
  EXPECT_EQ(distinct(branches, knobs, Grouping::batch), 1);
  knobs.source = EstimatorKnobs::Source::rollout;
  const auto path = small_rollout(false);
  EXPECT_EQ(distinct(path, knobs, Grouping::prompt), 2);
  EXPECT_EQ(distinct(path, knobs, Grouping::batch), 1);
}

TEST(RowAdvantages, APathsRowsShareTheirImages) {
  const auto path = small_rollout(false);
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.grouping = Grouping::prompt;
  knobs.spread = Spread::global;
  const auto reward = rewards({1, 3, 10, 14});
  const auto rows = row_advantages(path, reward, knobs, 5);
  const auto images = group_advantages(reward, {0, 0, 1, 1}, Spread::global, 5);
  ASSERT_EQ(rows.value.numel(), 8);
  for (int64_t r = 0; r < 8; ++r) {
    EXPECT_EQ(values(rows)[r], values(images)[r / 2]);
    EXPECT_EQ(rows.group[r], r / 4);
  }
  EXPECT_EQ(rows.groups(), 2);
}

TEST(RowAdvantages, BranchesAreComparedWithinTheirRootAndStep) {
  const auto branches = small_rollout(true);
  std::vector<float> reward(branches.images(), 0.5f);
  reward[0] = 1;  // root 0, step 0, K = 2
  const auto a = row_advantages(branches, rewards(reward), EstimatorKnobs{}, 5);
  EXPECT_NEAR(values(a)[0], 0.25 / 0.2501, 1e-6);
  EXPECT_NEAR(values(a)[1], -0.25 / 0.2501, 1e-6);
  EXPECT_EQ(a.dead_groups, 7);
  const auto steps = spread_by_step(branches, a);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].groups, 4);
  EXPECT_DOUBLE_EQ(steps[0].spread, 0.25 / 4);
  EXPECT_DOUBLE_EQ(steps[0].dead_share, 0.75);
  EXPECT_DOUBLE_EQ(steps[1].dead_share, 1);
  EXPECT_EQ(steps[2].groups, 0);
}

TEST(RowAdvantages, RefuseRewardsThatAreNotOneAnImage) {
  EXPECT_THROW(row_advantages(small_rollout(true), torch::zeros({3}),
                              EstimatorKnobs{}, 5),
               Error);
}

}  // namespace
}  // namespace rsm
