#include "rsm/base/estimator.h"

#include "rsm/base/error.h"

namespace rsm {

ConditionRows Sampled::conditions_of(const std::vector<int64_t>& states) const {
  std::vector<int64_t> prompt;
  for (const int64_t state : states) {
    prompt.push_back(rollout.state_prompt[state]);
  }
  return {conditions, torch::tensor(prompt, at::kLong)};
}

void Estimator::load_state(const StateDict& state) {
  RSM_CHECK(state.empty(), "[estimator] a saved tensor \"",
            state.begin()->first,
            "\" arrived; this one keeps nothing from epoch to epoch: the "
            "checkpoint is of another method");
}

}  // namespace rsm
