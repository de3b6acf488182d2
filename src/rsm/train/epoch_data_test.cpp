#include "rsm/train/epoch_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "rsm/base/random.h"
#include "rsm/io/testing.h"
#include "rsm/runs/run_options.h"

namespace rsm {
namespace {

/** States of `roots` stochastic paths over `steps` steps, sorted as a rollout
 * sorts them; w = 1 everywhere. */
EpochData paths(int64_t roots, int64_t steps) {
  EpochData data;
  for (int64_t r = 0; r < roots; ++r) {
    for (int64_t i = 0; i < steps; ++i) {
      data.trained.push_back(data.rollout.states());
      data.rollout.state_root.push_back(r);
      data.rollout.state_step.push_back(i);
    }
  }
  Transition step;
  step.m_y = -1;
  step.s = 1;
  data.rollout.transitions.assign(steps + 1, step);
  return data;
}

std::map<int64_t, int64_t> by_step(const EpochData& data,
                                   const std::vector<int64_t>& states) {
  std::map<int64_t, int64_t> count;
  for (const int64_t s : states) {
    ++count[data.rollout.state_step[s]];
  }
  return count;
}

TEST(WatchedStates, CoverEveryStepAlike) {
  for (const auto& [roots, steps] : std::vector<std::pair<int64_t, int64_t>>{
           {256, 9}, {1152, 9}, {192, 9}, {96, 19}, {512, 49}, {64, 300}}) {
    const auto data = paths(roots, steps);
    const auto watched =
        watched_states(data.rollout, data.trained, kWatchedStates, 1);
    const auto count = by_step(data, watched);
    EXPECT_EQ(std::ssize(count), steps) << roots << " x " << steps;
    int64_t least = roots, most = 0;
    for (const auto& [step, n] : count) {
      least = std::min(least, n);
      most = std::max(most, n);
    }
    EXPECT_LE(most - least, 1) << roots << " x " << steps;
    EXPECT_EQ(std::ssize(watched), std::max(kWatchedStates, steps));
    EXPECT_EQ(std::set<int64_t>(watched.begin(), watched.end()).size(),
              watched.size());
  }
}

TEST(WatchedStates, AreAllWhereThereAreFew) {
  const auto data = paths(4, 9);
  EXPECT_EQ(watched_states(data.rollout, data.trained, kWatchedStates, 1),
            data.trained);
  EXPECT_TRUE(watched_states(data.rollout, {}, kWatchedStates, 1).empty());
}

TEST(WatchedStates, WhatASmallStepLacksFallsToTheOthers) {
  auto data = paths(100, 4);
  // Of step 2, three states only.
  std::erase_if(data.trained, [&](int64_t s) {
    return data.rollout.state_step[s] == 2 && data.rollout.state_root[s] > 2;
  });
  const auto watched = watched_states(data.rollout, data.trained, 63, 1);
  const std::map<int64_t, int64_t> expected = {
      {0, 20}, {1, 20}, {2, 3}, {3, 20}};
  EXPECT_EQ(by_step(data, watched), expected);
}

TEST(WatchedStates, AreOthersForOtherSeedsAndFavourNoRoot) {
  const auto data = paths(256, 9);
  std::map<int64_t, int64_t> of_root;
  std::set<std::vector<int64_t>> different;
  constexpr int64_t kSeeds = 200;
  for (int64_t seed = 0; seed < kSeeds; ++seed) {
    const auto watched =
        watched_states(data.rollout, data.trained, kWatchedStates, seed);
    different.insert(watched);
    for (const int64_t s : watched) {
      ++of_root[data.rollout.state_root[s]];
    }
  }
  EXPECT_EQ(std::ssize(different), kSeeds);
  // A root comes kSeeds times on average, binomially: six standard deviations.
  const double allowed = 6 * std::sqrt(static_cast<double>(kSeeds));
  for (int64_t root = 0; root < 256; ++root) {
    EXPECT_NEAR(of_root[root], kSeeds, allowed) << root;
  }
}

/** Gives every trained state the KL of its y_old, watches some, and fills in
 * what measure_states() does. KL grows with the step and differs by state. */
void watch(EpochData& data, const std::vector<int64_t>& states) {
  const int64_t n = data.rollout.states();
  const auto noise = counted_normal(7, {n}).abs();
  auto amplitude = at::empty({n}, at::kFloat);
  for (int64_t s = 0; s < n; ++s) {
    amplitude[s] =
        (1 + data.rollout.state_step[s]) * (1 + 0.2 * noise[s].item<double>());
  }
  data.rollout.x = at::zeros({n, 1, 2, 2});
  data.y_ref = at::zeros_like(data.rollout.x);
  data.y_old = amplitude.view({n, 1, 1, 1}) + data.y_ref;
  data.rollout.y = data.y_old;
  data.kl_states = states;
  data.kl.clear();
  measure_states(Method(), data);
}

/** The sampling error of mean_kl(): of a stratified mean. */
double standard_error(const EpochData& data) {
  std::map<int64_t, std::vector<double>> values;
  for (size_t i = 0; i < data.kl_states.size(); ++i) {
    values[data.rollout.state_step[data.kl_states[i]]].push_back(data.kl[i]);
  }
  auto trained = by_step(data, data.trained);
  double variance = 0;
  for (const auto& [step, kl] : values) {
    const auto n = static_cast<double>(kl.size());
    double mean = 0, square = 0;
    for (const double v : kl) mean += v / n;
    for (const double v : kl) square += (v - mean) * (v - mean) / (n - 1);
    const double weight = static_cast<double>(trained[step]) /
                          static_cast<double>(data.trained.size());
    variance += weight * weight * square / n;
  }
  return std::sqrt(variance);
}

TEST(WatchedKl, IsThatOfAllStatesWithinItsStandardError) {
  auto equal = paths(256, 9);
  auto unequal = paths(400, 9);
  // Later steps have fewer states, down to 80.
  std::erase_if(unequal.trained, [&](int64_t s) {
    return unequal.rollout.state_root[s] >=
           400 - 40 * unequal.rollout.state_step[s];
  });
  for (auto* data : {&equal, &unequal}) {
    watch(*data, data->trained);
    const double all = mean_kl(*data);
    double plain = 0;
    for (const double kl : data->kl) {
      plain += kl / static_cast<double>(data->kl.size());
    }
    EXPECT_NEAR(all, plain, 1e-9 * plain);
    EXPECT_NEAR(data->kl[0], 0.5 * data->y_old[0].square().mean().item<float>(),
                1e-6);
    double off = 0;
    constexpr int kSeeds = 50;
    for (int seed = 0; seed < kSeeds; ++seed) {
      watch(*data,
            watched_states(data->rollout, data->trained, kWatchedStates, seed));
      const double z = (mean_kl(*data) - all) / standard_error(*data);
      EXPECT_LT(std::abs(z), 5) << seed;
      off += z / kSeeds;
    }
    // Unbiased: the mean of 50 is a seventh of a standard error off.
    EXPECT_LT(std::abs(off), 5 / std::sqrt(kSeeds));
  }
}

TEST(MeasureStates, ComparesTheSizeOfOutputsWithTheReferences) {
  auto data = paths(3, 2);
  watch(data, data.trained);
  data.y_ref = at::full_like(data.y_old, 2);
  data.y_old = at::full_like(data.y_old, 6);
  data.rollout.y = data.y_old;
  data.kl.clear();
  measure_states(Method(), data);
  EXPECT_NEAR(data.output_ratio, 3, 1e-12);
  EXPECT_NEAR(mean_kl(data), 0.5 * 16, 1e-12);
}

/** One row of one state with the outputs y = y_old + `apart`. */
struct OneRow {
  explicit OneRow(float apart) {
    const auto one = at::ones({1}, at::kDouble);
    states.y_old = at::zeros({1, 1, 2, 2});
    states.k_ref = at::zeros({1}, at::kDouble);
    y = states.y_old + apart;
    rows = {at::zeros({1}, at::kLong),
            at::ones({1, 1, 2, 2}),
            one,
            one,
            one,
            one,
            -one,
            one,
            one,
            one};
  }
  double gap(double clip_range) const {
    return first_gap(row_losses(y, states, rows), y, states, clip_range);
  }

  LossStates states;
  LossRows rows;
  torch::Tensor y;
};

TEST(FirstGap, IsZeroForEqualOutputs) { EXPECT_EQ(OneRow(0).gap(1e-4), 0); }

TEST(FirstGap, IsToldBelowATenthOfTheClipRangeAndStopsAbove) {
  const OneRow row(1e-5f);
  EXPECT_NEAR(row.gap(1e-3), 1e-5, 1e-8);
  expect_parts(error_of([&] { row.gap(5e-5); }),
               {"[first step]", "log-ratio", "clip range", "batched"});
}

}  // namespace
}  // namespace rsm
