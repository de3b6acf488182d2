#include "rsm/base/rollout.h"

#include <algorithm>
#include <numeric>

#include "rsm/base/error.h"

namespace rsm {

RolloutIndex without_forward_rows(const RolloutIndex& rollout) {
  if (rollout.noised_from == 0) return rollout;
  RolloutIndex out;
  out.prompts = rollout.prompts;
  out.transitions = rollout.transitions;
  out.image_prompt = rollout.image_prompt;
  out.shared = rollout.shared;
  std::vector<int64_t> place(rollout.states(), -1);
  for (int64_t s = 0; s < rollout.states(); ++s) {
    if (rollout.is_forward(s)) continue;
    place[s] = out.states();
    out.state_root.push_back(rollout.state_root[s]);
    out.state_prompt.push_back(rollout.state_prompt[s]);
    out.state_step.push_back(rollout.state_step[s]);
  }
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (rollout.is_forward(rollout.row_state[r])) continue;
    out.row_state.push_back(place[rollout.row_state[r]]);
    out.row_image.push_back(rollout.row_image[r]);
  }
  return out;
}

std::vector<int64_t> all_states(const RolloutIndex& rollout) {
  std::vector<int64_t> all(rollout.states());
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

std::vector<int64_t> states_with_rows(const RolloutIndex& rollout) {
  auto states = rollout.row_state;
  states.erase(std::unique(states.begin(), states.end()), states.end());
  return states;
}

torch::Tensor times_of(const RolloutIndex& rollout,
                       const std::vector<int64_t>& states) {
  std::vector<double> times;
  for (const int64_t state : states) {
    times.push_back(rollout.transition_of(state).t);
  }
  return torch::tensor(times, at::kFloat);
}

torch::Tensor picked(const torch::Tensor& all,
                     const std::vector<int64_t>& places) {
  return all.index_select(0, torch::tensor(places, at::kLong));
}

torch::Tensor StateOutputs::of(const std::vector<int64_t>& some) const {
  std::vector<int64_t> place;
  for (const int64_t state : some) {
    const auto found = std::lower_bound(states.begin(), states.end(), state);
    RSM_CHECK(found != states.end() && *found == state,
              "[outputs] none of state ", state, " among those of ",
              states.size(), " states; ask for what was evaluated");
    place.push_back(found - states.begin());
  }
  return y.index_select(0, torch::tensor(place, at::kLong).to(y.device()));
}

}  // namespace rsm
