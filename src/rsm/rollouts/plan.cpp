#include "rsm/rollouts/plan.h"

#include <algorithm>

#include "rsm/base/error.h"

namespace rsm {

using Source = EstimatorKnobs::Source;

int64_t RolloutPlan::branches_at(int64_t step) const {
  const bool trained = step >= 0 && step < steps - 1;
  const bool listed = step < static_cast<int64_t>(branches.size());
  return trained && listed ? branches[step] : 0;
}

int64_t RolloutPlan::continuation_at(int64_t step) const {
  const int64_t usual = steps - 1 - step;
  return continuation_steps > 0 ? std::min(continuation_steps, usual) : usual;
}

int64_t RolloutPlan::root_steps() const {
  if (source == Source::rollout) {
    return steps;
  }
  int64_t count = anchors ? steps - 1 : 0;
  for (int64_t i = 0; i < steps - 1; ++i) {
    if (branches_at(i) > 0) {
      count = std::max(count, i + 1);
    }
  }
  return count;
}

int64_t RolloutPlan::rows_per_root() const {
  if (source == Source::rollout) {
    return steps - 1;
  }
  int64_t rows = 0;
  for (int64_t i = 0; i < steps - 1; ++i) {
    rows += branches_at(i);
  }
  return rows;
}

int64_t RolloutPlan::images_per_root() const {
  return source == Source::rollout ? 1 : rows_per_root();
}

int64_t RolloutPlan::states_per_root() const {
  if (source == Source::rollout) {
    return steps - 1;
  }
  int64_t states = 0;
  for (int64_t i = 0; i < steps - 1; ++i) {
    states += states_at(i);
  }
  return states;
}

int64_t RolloutPlan::states_at(int64_t step) const {
  const int64_t branches = branches_at(step);
  if (branches == 0) {
    return anchors ? 1 : 0;
  }
  return sharing == Sharing::all ? 1 : branches;
}

int64_t RolloutPlan::evaluations_per_root() const {
  int64_t evaluations = root_steps();
  if (source == Source::branches) {
    for (int64_t i = 0; i < steps - 1; ++i) {
      evaluations += branches_at(i) *
                     (continuation_at(i) + (sharing == Sharing::none ? 1 : 0));
    }
  }
  return evaluations;
}

RolloutPlan make_plan(const Method& method, int64_t steps, double noise_level,
                      int64_t continuation_steps, Sharing sharing) {
  RSM_CHECK(steps >= 2, "[plan] ", steps,
            " sampling steps arrived; at least 2 are needed, since the last "
            "step is not trained");
  RSM_CHECK(noise_level > 0, "[plan] noise level ", noise_level,
            " arrived; it must be above 0, or there is nothing to compare");
  RolloutPlan plan;
  plan.source = method.estimator.source;
  plan.steps = steps;
  plan.noise_level = noise_level;
  plan.branches = method.estimator.branches;
  plan.anchors = method.regularisation.anchors;
  plan.continuation_steps = continuation_steps;
  plan.sharing = sharing;
  RSM_CHECK(plan.rows_per_root() > 0, "[plan] method ", method.name,
            " branches nowhere before the last of ", steps,
            " steps; give estimator.branches a count above 0");
  return plan;
}

}  // namespace rsm
