#include "rsm/methods/branch_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"

namespace rsm {
namespace {

/** Four steps, later ones cheaper, whose signals and noises differ by chance.
 */
std::vector<StepWorth> some_steps(uint64_t trial) {
  std::vector<StepWorth> steps;
  for (uint64_t i = 0; i < 4; ++i) {
    const auto drawn = [&](uint64_t what) {
      return counted_uniform(counted_seed(1, Purpose::bench, {trial, i, what}));
    };
    steps.push_back({std::pow(drawn(0), 3), 0.6 + 14.4 * drawn(1),
                     static_cast<double>(4 - i), 0.2 + 1.8 * drawn(2)});
  }
  return steps;
}

double cost_of(const std::vector<StepWorth>& steps,
               const std::vector<int64_t>& branches) {
  double cost = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    cost += steps[i].cost * static_cast<double>(branches[i]);
  }
  return cost;
}

/** The largest gain of all budgets that can be paid. */
double best_gain(const std::vector<StepWorth>& steps, double cost,
                 double roots) {
  std::vector<int64_t> branches(steps.size(), 0);
  double best = 0;
  const std::function<void(size_t, double)> from = [&](size_t i, double left) {
    if (i == steps.size()) {
      best = std::max(best, budget_gain(steps, branches, roots));
      return;
    }
    branches[i] = 0;
    from(i + 1, left);
    for (int64_t k = kLeastBranches;
         static_cast<double>(k) * steps[i].cost <= left; ++k) {
      branches[i] = k;
      from(i + 1, left - static_cast<double>(k) * steps[i].cost);
    }
    branches[i] = 0;
  };
  from(0, cost);
  return best;
}

TEST(BranchBudget, IsAsGoodAsTheBestOfAll) {
  double all = 0;
  constexpr int kTrials = 120;
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    const auto steps = some_steps(trial);
    const auto cost = 10 + static_cast<double>(trial % 27);
    const double roots = std::pow(4, static_cast<double>(trial % 3));
    const auto branches = branch_budget(steps, cost, roots);
    EXPECT_LE(cost_of(steps, branches), cost) << trial;
    for (const int64_t k : branches) EXPECT_TRUE(k == 0 || k >= 2) << trial;
    const double share =
        budget_gain(steps, branches, roots) / best_gain(steps, cost, roots);
    // What is left over when branches cost up to 4 and a budget is 10.
    EXPECT_GT(share, 0.93) << trial;
    EXPECT_LE(share, 1 + 1e-9) << trial;
    all += share / kTrials;
  }
  EXPECT_GT(all, 0.998);
}

TEST(BranchBudget, ByWorthIsNotFarFromTheBestOfAll) {
  double all = 0;
  constexpr int kTrials = 120;
  for (uint64_t trial = 0; trial < kTrials; ++trial) {
    const auto steps = some_steps(trial);
    const auto cost = 10 + static_cast<double>(trial % 27);
    const auto branches = budget_by_worth(steps, cost, 0.25);
    all +=
        budget_gain(steps, branches, 16) / best_gain(steps, cost, 16) / kTrials;
  }
  EXPECT_GT(all, 0.9);
}

/** The least noise of all ways to spend a cost on three steps. */
double least_noise(const std::vector<StepWorth>& steps, double cost) {
  double best = INFINITY;
  for (double a = 2; a * steps[0].cost <= cost; ++a) {
    for (double b = 2; a * steps[0].cost + b * steps[1].cost <= cost; ++b) {
      const double left = cost - a * steps[0].cost - b * steps[1].cost;
      const double c = std::floor(left / steps[2].cost);
      if (c < 2) break;
      best = std::min(
          best, steps[0].noise / a + steps[1].noise / b + steps[2].noise / c);
    }
  }
  return best;
}

TEST(BranchBudget, HasTheLeastNoiseOfAllInsideItsSteps) {
  for (uint64_t trial = 0; trial < 100; ++trial) {
    auto steps = some_steps(trial);
    steps.pop_back();
    const double cost = 18 + static_cast<double>(trial % 40);
    const auto branches = branches_among(steps, {true, true, true}, cost);
    ASSERT_LE(cost_of(steps, branches), cost);
    double noise = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      ASSERT_GE(branches[i], 2);
      noise += steps[i].noise / static_cast<double>(branches[i]);
    }
    // Steps cost 4, 3 and 2: up to 3 are left over, of 18 at least.
    EXPECT_LT(noise, 1.08 * least_noise(steps, cost)) << trial;
    EXPECT_GE(noise, (1 - 1e-9) * least_noise(steps, cost)) << trial;
  }
}

TEST(BranchBudget, ByWorthTakesTimesBySignalForTheirCost) {
  // Worth 1, 1/2, 1/8 and nothing.
  const std::vector<StepWorth> steps = {
      {4, 16, 4}, {1, 1, 2}, {0.5, 1, 4}, {0, 1, 1}};
  EXPECT_EQ(budget_by_worth(steps, 60, 0.6),
            (std::vector<int64_t>{15, 0, 0, 0}));
  // K ~ sqrt(noise / cost): 2 to 1 / sqrt(2).
  const auto two = budget_by_worth(steps, 400, 0.25);
  EXPECT_NEAR(static_cast<double>(two[0]) / static_cast<double>(two[1]),
              2 * std::sqrt(2), 0.1);
  EXPECT_EQ(two[2], 0);
  EXPECT_EQ(cost_of(steps, two), 400);
  EXPECT_GT(budget_by_worth(steps, 400, 0.1)[2], 0);
  // The best alone, where both cannot be paid for.
  EXPECT_EQ(budget_by_worth(steps, 11, 0.25),
            (std::vector<int64_t>{2, 0, 0, 0}));
  EXPECT_EQ(budget_by_worth(steps, 7, 0.25),
            (std::vector<int64_t>{0, 0, 0, 0}));
  EXPECT_THROW(budget_by_worth(steps, 7, 0), Error);
}

TEST(BranchBudget, GivesStepsByTheRootOfNoiseByCost) {
  // Much signal everywhere: all steps branch.
  const std::vector<StepWorth> steps = {
      {1e3, 16, 4}, {1e3, 4, 4}, {1e3, 9, 1}, {1e3, 1, 1}};
  const auto branches = branch_budget(steps, 4000, 1);
  double unit = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    unit += std::sqrt(steps[i].noise * steps[i].cost);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    const double wanted =
        4000 * std::sqrt(steps[i].noise / steps[i].cost) / unit;
    EXPECT_NEAR(static_cast<double>(branches[i]), wanted, 1.5) << i;
  }
}

TEST(BranchBudget, GivesNothingWhereNothingIsToBeLearnt) {
  const std::vector<StepWorth> steps = {{0, 1, 1}, {1, 1, 1}, {0, 1, 1}};
  EXPECT_EQ(branch_budget(steps, 12, 1), (std::vector<int64_t>{0, 12, 0}));
  EXPECT_EQ(branch_budget({{0, 1, 1}}, 12, 1), std::vector<int64_t>{0});
  EXPECT_EQ(branch_budget(steps, 1, 1), (std::vector<int64_t>{0, 0, 0}));
}

TEST(BranchBudget, LeavesNoisyTimesToThoseWithManyRoots) {
  // Alone the second only adds noise; averaged over many roots it adds signal.
  const std::vector<StepWorth> steps = {{1, 1, 1}, {1, 1000, 1}};
  EXPECT_EQ(branch_budget(steps, 8, 1)[1], 0);
  EXPECT_GT(branch_budget(steps, 8, 1e5)[1], 0);
}

TEST(BranchBudget, RefusesNumbersOutOfRange) {
  EXPECT_THROW(branch_budget({{-1, 1, 1}}, 1, 1), Error);
  EXPECT_THROW(branch_budget({{1, 0, 1}}, 1, 1), Error);
  EXPECT_THROW(branch_budget({{1, 1, 0}}, 1, 1), Error);
  EXPECT_THROW(branch_budget({{1, 1, 1}}, NAN, 1), Error);
  EXPECT_THROW(budget_gain({{1, 1, 1}}, {1, 2}, 1), Error);
}

}  // namespace
}  // namespace rsm
