#include "rsm/runs/watched_states.h"

#include <algorithm>
#include <map>

#include "rsm/base/random.h"

namespace rsm {

std::vector<int64_t> watched_states(const RolloutIndex& rollout,
                                    const std::vector<int64_t>& trained,
                                    int64_t count, uint64_t seed) {
  std::map<int64_t, std::vector<int64_t>> of_step;
  for (const int64_t s : trained) {
    of_step[rollout.state_step[s]].push_back(s);
  }
  std::vector<int64_t> steps;
  for (const auto& [step, states] : of_step) {
    steps.push_back(step);
  }
  // Small steps first: what they lack falls to those that have more.
  std::stable_sort(steps.begin(), steps.end(), [&](int64_t a, int64_t b) {
    return of_step[a].size() < of_step[b].size();
  });
  auto steps_left = std::ssize(steps);
  auto left = std::max(count, steps_left);
  std::vector<int64_t> chosen;
  for (const int64_t step : steps) {
    const auto& states = of_step[step];
    const auto order =
        counted_permutation(counted_seed(seed, Purpose::watched_states,
                                         {static_cast<uint64_t>(step)}),
                            std::ssize(states));
    const auto quota = std::min(std::ssize(states), left / steps_left);
    for (int64_t k = 0; k < quota; ++k) {
      chosen.push_back(states[order[k]]);
    }
    left -= quota;
    --steps_left;
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<int64_t> reference_states(const Method& method,
                                      const RolloutIndex& rollout,
                                      const std::vector<int64_t>& trained,
                                      uint64_t seed) {
  const auto& knobs = method.regularisation;
  const bool pulls = knobs.beta > 0 || method.estimator.forward.beta > 0;
  return (pulls && !knobs.has_own_reference()) ||
                 method.strength.scaled_residual ||
                 method.estimator.pictures.compares_reference()
             ? trained
             : watched_states(rollout, trained, kWatchedStates, seed);
}

std::vector<int64_t> old_states(const Method& method, int64_t updates_per_epoch,
                                const RolloutIndex& rollout,
                                const std::vector<int64_t>& trained,
                                uint64_t seed) {
  const bool begins_as_old = updates_per_epoch == 1 &&
                             !method.estimator.compares_outputs() &&
                             !method.estimator.pictures.old.is_kept();
  return (begins_as_old || method.is_free_of_old_outputs()) &&
                 !method.strength.scaled_residual
             ? watched_states(rollout, trained, kWatchedStates, seed)
             : trained;
}

}  // namespace rsm
