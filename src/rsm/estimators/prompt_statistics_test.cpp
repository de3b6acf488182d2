#include "rsm/estimators/prompt_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/testing.h"

namespace rsm {
namespace {

using Spread = EstimatorKnobs::Spread;

constexpr int64_t kEpochs = 6;

/** DDPO: paths, a buffer of 5 that counts from 4 rewards on. */
EstimatorKnobs running_knobs() {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.grouping = EstimatorKnobs::Grouping::prompt;
  knobs.baseline = EstimatorKnobs::Baseline::running;
  knobs.buffer_size = 5;
  knobs.buffer_least = 4;
  knobs.spread_offset = 1e-6;
  return knobs;
}

/** Sixteenths, so that a shift by 64 is exact in float32. */
torch::Tensor epoch_rewards(int64_t epoch) {
  return (counted_normal(100 + epoch, {4}) * 16).round() / 16;
}

/** Two images of prompt 10 and two of 11, or of 12 in the fourth epoch. */
Rollout epoch_rollout(int64_t epoch) {
  auto rollout = small_rollout(false);
  if (epoch == 3) rollout.prompts[1].id = 12;
  return rollout;
}

Advantages epoch_advantages(int64_t epoch, const EstimatorKnobs& knobs,
                            PromptStatistics& statistics, float shift = 0) {
  return row_advantages(epoch_rollout(epoch),
                        scores(epoch_rewards(epoch) + shift), knobs, 5,
                        &statistics);
}

PromptStatistics reloaded(const PromptStatistics& statistics) {
  PromptStatistics out(statistics.size());
  out.load_state(statistics.state());
  return out;
}

void expect_same(const PromptStatistics& a, const PromptStatistics& b) {
  const auto left = a.state(), right = b.state();
  ASSERT_EQ(left.size(), right.size());
  for (const auto& [name, tensor] : left) {
    EXPECT_TRUE(at::allclose(tensor, right.at(name), 0, 0, /*equal_nan=*/true))
        << name;
  }
}

TEST(PromptStatistics, HoldTheLastRewardsOfEachPrompt) {
  PromptStatistics statistics(3);
  statistics.update("a", {7, 8, 7, 7, 7}, {1, 100, 2, 3, 7});
  const auto moments = statistics.moments("a", 7);
  EXPECT_EQ(moments.count, 3);
  EXPECT_DOUBLE_EQ(moments.mean, 4);
  EXPECT_DOUBLE_EQ(moments.deviation, std::sqrt((4.0 + 1 + 9) / 3));
  EXPECT_DOUBLE_EQ(moments.unbiased(), std::sqrt((4.0 + 1 + 9) / 2));
  EXPECT_EQ(statistics.moments("a", 8).count, 1);
  EXPECT_EQ(statistics.moments("a", 9).count, 0);
  EXPECT_EQ(statistics.moments("b", 7).count, 0);
}

TEST(PromptStatistics, DoNotDependOnHowRewardsArrive) {
  PromptStatistics at_once(3), one_by_one(3);
  const std::vector<int64_t> prompts = {1, 2, 1, 1, 2, 1, 1};
  const std::vector<double> reward = {.1, .2, .3, .4, .5, .6, .7};
  at_once.update("a", prompts, reward);
  for (size_t i = 0; i < reward.size(); ++i) {
    one_by_one.update("a", {prompts[i]}, {reward[i]});
  }
  expect_same(one_by_one, at_once);
}

TEST(PromptStatistics, ComeBackBitByBit) {
  PromptStatistics statistics(6);
  const std::vector<double> reward = {0.1, 1.0 / 3,         -7, 1e-300,
                                      0,   std::sqrt(2e10), 5};
  statistics.update("a", {1, 1, 1, -4, 1, 1, 1}, reward);
  statistics.update("b \"quoted\"", {1 << 20}, {0.7});
  const auto back = reloaded(statistics);
  EXPECT_EQ(back.size(), 6);
  expect_same(back, statistics);
  EXPECT_EQ(back.moments("a", 1).mean, statistics.moments("a", 1).mean);
  EXPECT_EQ(back.moments("a", -4).mean, 1e-300);
  EXPECT_EQ(back.moments("b \"quoted\"", 1 << 20).mean, 0.7);
  EXPECT_EQ(reloaded(PromptStatistics(2)).size(), 2);
}

TEST(PromptStatistics, RefuseWhatTheyCannotHold) {
  EXPECT_THROW(PromptStatistics(0), Error);
  PromptStatistics statistics(2);
  EXPECT_THROW(statistics.update("a", {1}, {1, 2}), Error);
  EXPECT_THROW(statistics.update("a", {1, 1}, {1, std::nan("")}), Error);
  EXPECT_EQ(statistics.moments("a", 1).count, 0);
  const auto prompts = torch::tensor({1}, at::kLong);
  const auto two = torch::tensor({{0.5, 1.0}}, at::kDouble);
  statistics.load_state({{"a.prompts", prompts}, {"a.rewards", two}});
  for (const StateDict& wrong : std::vector<StateDict>{
           {{"a.prompts", prompts}},
           {{"a.rewards", two}},
           {{"a.prompts", prompts}, {"a.rewards", two.slice(1, 0, 1)}},
           {{"a.prompts", prompts}, {"a.rewards", two.to(at::kFloat)}},
           {{"a.prompts", prompts.to(at::kInt)}, {"a.rewards", two}},
           {{"a.prompts", prompts}, {"a.rewards", two}, {"b", two}}}) {
    EXPECT_THROW(statistics.load_state(wrong), Error);
  }
  EXPECT_EQ(statistics.moments("a", 1).mean, 0.75);
}

/** Mean and population deviation, as they are written. */
std::pair<double, double> mean_and_deviation(const std::deque<double>& of) {
  double mean = 0, squares = 0;
  const auto n = static_cast<double>(of.size());
  for (const double r : of) mean += r / n;
  for (const double r : of) squares += (r - mean) * (r - mean) / n;
  return {mean, std::sqrt(squares)};
}

TEST(RunningBaseline, IsTheSimulatedBuffer) {
  PromptStatistics statistics(5);
  std::map<int64_t, std::deque<double>> buffers;
  int64_t by_buffer = 0;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto a = epoch_advantages(epoch, running_knobs(), statistics);
    const auto rollout = epoch_rollout(epoch);
    const auto reward = epoch_rewards(epoch);
    std::deque<double> all;
    for (int64_t i = 0; i < 4; ++i) {
      all.push_back(reward[i].item<float>());
      auto& buffer = buffers[rollout.prompts[i / 2].id];
      buffer.push_back(all.back());
      if (buffer.size() > 5) buffer.pop_front();
    }
    for (int64_t r = 0; r < 8; ++r) {
      const auto& buffer = buffers[rollout.prompts[r / 4].id];
      const auto [mean, deviation] =
          mean_and_deviation(buffer.size() < 4 ? all : buffer);
      by_buffer += buffer.size() < 4 ? 0 : 1;
      EXPECT_NEAR(values(a)[r], (all[r / 2] - mean) / (deviation + 1e-6),
                  kOneUlp)
          << "epoch " << epoch << " row " << r;
    }
  }
  // Neither side of buffer_least went untested.
  EXPECT_GT(by_buffer, 0);
  EXPECT_LT(by_buffer, 8 * kEpochs);
}

TEST(RunningBaseline, GoesOnFromASavedFile) {
  const auto knobs = running_knobs();
  PromptStatistics straight(5), resumed(5);
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto a = epoch_advantages(epoch, knobs, straight);
    const auto b = epoch_advantages(epoch, knobs, resumed);
    EXPECT_EQ(values(b), values(a)) << "epoch " << epoch;
    resumed = reloaded(resumed);
  }
}

TEST(RunningBaseline, DoesNotSeeAConstantInTheRewards) {
  for (const auto spread : {Spread::group, Spread::global, Spread::none}) {
    auto knobs = running_knobs();
    knobs.spread = spread;
    PromptStatistics statistics(5), shifted(5);
    for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
      const auto a = epoch_advantages(epoch, knobs, statistics);
      const auto b = epoch_advantages(epoch, knobs, shifted, 64);
      for (size_t r = 0; r < 8; ++r) {
        EXPECT_NEAR(values(b)[r], values(a)[r], kOneUlp);
      }
    }
  }
}

TEST(RunningBaseline, FollowsPromptsNotTheirPlaces) {
  const auto knobs = running_knobs();
  PromptStatistics statistics(5), swapped(5);
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto a = epoch_advantages(epoch, knobs, statistics);
    // Every second epoch's prompts in the other order.
    auto rollout = epoch_rollout(epoch);
    auto reward = epoch_rewards(epoch);
    const bool swap = epoch % 2 == 1;
    if (swap) {
      std::swap(rollout.prompts[0], rollout.prompts[1]);
      reward = torch::cat({reward.slice(0, 2, 4), reward.slice(0, 0, 2)});
    }
    const auto b = row_advantages(rollout, scores(reward), knobs, 5, &swapped);
    for (size_t r = 0; r < 8; ++r) {
      // The epoch's rewards are summed in another order.
      EXPECT_NEAR(values(b)[r], values(a)[swap ? (r + 4) % 8 : r], kOneUlp);
    }
  }
}

TEST(RunningBaseline, LeavesOutPromptsThatHaveNoSpreadYet) {
  auto knobs = running_knobs();
  PromptStatistics statistics(5);
  const auto path = small_rollout(false);
  const auto same = scores({1, 1, 0, 3});
  // Compared with the epoch, then with four equal rewards of its own.
  const auto first = row_advantages(path, same, knobs, 5, &statistics);
  EXPECT_EQ(first.dead_groups, 0);
  EXPECT_LT(values(first)[0], 0);
  const auto second = row_advantages(path, same, knobs, 5, &statistics);
  EXPECT_EQ(second.dead, (std::vector<bool>{true, false}));
  EXPECT_EQ(values(second)[0], 0);
  // A change is seen against the past, however equal the epoch's rewards.
  const auto third =
      row_advantages(path, scores({2, 2, 0, 3}), knobs, 5, &statistics);
  EXPECT_GT(values(third)[0], 0);
  EXPECT_EQ(third.dead_groups, 0);
}

TEST(RunningBaseline, KeepsTheBuffersOfSeveralRewardsApart) {
  auto knobs = running_knobs();
  knobs.combine = EstimatorKnobs::Combine::advantages;
  PromptStatistics both(5), only_a(5), only_b(5);
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto rollout = epoch_rollout(epoch);
    const RewardPart a{"a", 1, epoch_rewards(epoch)};
    const RewardPart b{"b", 0.5, epoch_rewards(50 + epoch)};
    const auto rows = [&](const std::vector<RewardPart>& parts,
                          PromptStatistics& statistics) {
      auto of = scores(a.value);
      of.parts = parts;
      return values(row_advantages(rollout, of, knobs, 1000, &statistics));
    };
    const auto sum = rows({a, b}, both);
    const auto of_a = rows({a}, only_a), of_b = rows({b}, only_b);
    for (size_t r = 0; r < 8; ++r) {
      // Rounding of the two terms to float32.
      EXPECT_NEAR(sum[r], of_a[r] + of_b[r], 1e-6);
    }
  }
}

TEST(RunningBaseline, ComparesRowsOfATreeWithTheirPrompt) {
  auto knobs = tree_knobs();
  knobs.baseline = EstimatorKnobs::Baseline::running;
  knobs.buffer_size = 8;
  knobs.buffer_least = 4;
  PromptStatistics statistics(8);
  const auto a = row_advantages(small_tree(1), scores({1, 2, 3, 6}), knobs, 5,
                                &statistics);
  EXPECT_EQ(statistics.moments("value", 10).count, 4);
  // Means of leaves 1.5 and 4.5 against 3 +- sqrt(3.5).
  EXPECT_FLOAT_EQ(values(a)[0], -1.5 / (std::sqrt(3.5) + 1e-4));
  EXPECT_FLOAT_EQ(values(a)[1], 1.5 / (std::sqrt(3.5) + 1e-4));
}

TEST(RunningBaseline, LearnsNothingFromAnEpochThatFails) {
  auto knobs = running_knobs();
  const auto path = small_rollout(false);
  PromptStatistics statistics(5);
  epoch_advantages(0, knobs, statistics);
  const auto before = reloaded(statistics);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(
      row_advantages(path, scores({1, 2, 3, nan}), knobs, 5, &statistics),
      Error);
  knobs.combine = EstimatorKnobs::Combine::advantages;
  auto of = scores({1, 2, 3, 4});
  of.parts = {{"a", 1, rewards({1, 2, 3, 4})},
              {"b", 1, rewards({1, 2, 3, nan})}};
  EXPECT_THROW(row_advantages(path, of, knobs, 5, &statistics), Error);
  expect_same(statistics, before);
}

TEST(RunningBaseline, NeedsItsStatisticsAndPrompts) {
  auto knobs = running_knobs();
  auto path = small_rollout(false);
  const auto of = scores({1, 2, 3, 4});
  EXPECT_THROW(row_advantages(path, of, knobs, 5, nullptr), Error);
  PromptStatistics other_size(6), statistics(5);
  EXPECT_THROW(row_advantages(path, of, knobs, 5, &other_size), Error);
  path.prompts.pop_back();
  EXPECT_THROW(row_advantages(path, of, knobs, 5, &statistics), Error);
}

}  // namespace
}  // namespace rsm
