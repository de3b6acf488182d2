#include "rsm/runs/watched_states.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace rsm {
namespace {

/** States of `roots` stochastic paths over `steps` steps, sorted as a rollout
 * sorts them. */
RolloutIndex paths(int64_t roots, int64_t steps) {
  RolloutIndex out;
  for (int64_t r = 0; r < roots; ++r) {
    for (int64_t i = 0; i < steps; ++i) {
      out.state_root.push_back(r);
      out.state_step.push_back(i);
    }
  }
  out.transitions.resize(steps + 1);
  return out;
}

std::map<int64_t, int64_t> by_step(const RolloutIndex& rollout,
                                   const std::vector<int64_t>& states) {
  std::map<int64_t, int64_t> count;
  for (const int64_t s : states) {
    ++count[rollout.state_step[s]];
  }
  return count;
}

TEST(WatchedStates, CoverEveryStepAlike) {
  for (const auto& [roots, steps] : std::vector<std::pair<int64_t, int64_t>>{
           {256, 9}, {1152, 9}, {192, 9}, {96, 19}, {512, 49}, {64, 300}}) {
    const auto rollout = paths(roots, steps);
    const auto watched =
        watched_states(rollout, all_states(rollout), kWatchedStates, 1);
    const auto count = by_step(rollout, watched);
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
  const auto rollout = paths(4, 9);
  const auto all = all_states(rollout);
  EXPECT_EQ(watched_states(rollout, all, kWatchedStates, 1), all);
  EXPECT_TRUE(watched_states(rollout, {}, kWatchedStates, 1).empty());
}

TEST(WatchedStates, WhatASmallStepLacksFallsToTheOthers) {
  const auto rollout = paths(100, 4);
  auto trained = all_states(rollout);
  // Of step 2, three states only.
  std::erase_if(trained, [&](int64_t s) {
    return rollout.state_step[s] == 2 && rollout.state_root[s] > 2;
  });
  const auto watched = watched_states(rollout, trained, 63, 1);
  const std::map<int64_t, int64_t> expected = {
      {0, 20}, {1, 20}, {2, 3}, {3, 20}};
  EXPECT_EQ(by_step(rollout, watched), expected);
}

TEST(WatchedStates, AreOthersForOtherSeedsAndFavourNoRoot) {
  const auto rollout = paths(256, 9);
  std::map<int64_t, int64_t> of_root;
  std::set<std::vector<int64_t>> different;
  constexpr int64_t kSeeds = 200;
  for (int64_t seed = 0; seed < kSeeds; ++seed) {
    const auto watched =
        watched_states(rollout, all_states(rollout), kWatchedStates, seed);
    different.insert(watched);
    for (const int64_t s : watched) {
      ++of_root[rollout.state_root[s]];
    }
  }
  EXPECT_EQ(std::ssize(different), kSeeds);
  // A root comes kSeeds times on average, binomially: six standard deviations.
  const double allowed = 6 * std::sqrt(static_cast<double>(kSeeds));
  for (int64_t root = 0; root < 256; ++root) {
    EXPECT_NEAR(of_root[root], kSeeds, allowed) << root;
  }
}

}  // namespace
}  // namespace rsm
