#include "rsm/rollouts/running_cost.h"

#include <algorithm>

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;

/** Whether states on the way are handed on. */
bool keeps_states(const RolloutPlan& plan) {
  return plan.estimator.source == Source::rollout ||
         plan.estimator.source == Source::tree;
}

/** The noise that the plan has at a time, for a single step. */
StepNoise noise_at(const RolloutPlan& plan, const std::vector<double>& grid,
                   double t) {
  int64_t step = 0;
  while (step + 2 < std::ssize(grid) && grid[step + 1] >= t) ++step;
  auto out = plan.noise;
  out.level = plan.noise.level_at(step);
  out.levels.clear();
  return out;
}

}  // namespace

int64_t first_paying_step(const RolloutPlan& plan) {
  int64_t step = 0;
  while (step < plan.steps - 1 && plan.branches_at(step) == 0) ++step;
  return step + 1;
}

int64_t cost_evaluations_per_root(const RolloutPlan& plan) {
  if (!plan.estimator.counts_costs()) return 0;
  int64_t out = 0;
  if (plan.estimator.source == Source::branches) {
    for (int64_t i = 0; i < plan.steps - 1; ++i) {
      const int64_t way = plan.continuation_at(i);
      out += plan.branches_at(i) * std::max<int64_t>(way - 1, 0);
    }
    return out;
  }
  // Trees have no window, and hurry nowhere.
  const int64_t end = plan.hurries() ? plan.window_end() : plan.steps - 1;
  for (int64_t i = first_paying_step(plan); i < end; ++i) {
    out += plan.nodes_at(i);
  }
  return plan.hurries() ? out + plan.steps_after_window() - 1 : out;
}

std::vector<int64_t> paying_states(const RolloutPlan& plan,
                                   const RolloutIndex& rollout) {
  std::vector<int64_t> out;
  if (!plan.estimator.counts_costs() || !keeps_states(plan)) return out;
  const int64_t first = first_paying_step(plan);
  for (int64_t state = 0; state < rollout.states(); ++state) {
    if (rollout.state_step[state] >= first) out.push_back(state);
  }
  return out;
}

std::vector<double> factors_of(const RunningCost& cost,
                               const Transitions& transitions) {
  std::vector<double> out(transitions.size(), 0);
  for (size_t i = 0; i + 1 < transitions.size(); ++i) {
    out[i] = cost.factor(transitions[i]);
  }
  return out;
}

std::vector<double> factors_along(const RunningCost& cost, const Path& path,
                                  const RolloutPlan& plan,
                                  const std::vector<double>& times) {
  const auto grid = plan.times(path);
  std::vector<double> out(times.size() - 1, 0);
  for (int64_t k = 0; k + 2 < std::ssize(times); ++k) {
    out[k] =
        cost.factor(path.noisy_step(times, k, noise_at(plan, grid, times[k])));
  }
  return out;
}

}  // namespace rsm
