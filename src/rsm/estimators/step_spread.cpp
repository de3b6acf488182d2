#include <set>

#include "rsm/estimators/advantages.h"

namespace rsm {

std::vector<StepSpread> spread_by_step(const RolloutIndex& rollout,
                                       const Advantages& advantages) {
  std::vector<std::set<int64_t>> groups(rollout.transitions.size());
  for (size_t r = 0; r < rollout.row_state.size(); ++r) {
    const int64_t step = rollout.state_step[rollout.row_state[r]];
    groups[step].insert(advantages.group[r]);
  }
  std::vector<StepSpread> out(groups.size());
  for (size_t step = 0; step < groups.size(); ++step) {
    if (groups[step].empty()) continue;
    const auto count = static_cast<double>(groups[step].size());
    for (const int64_t g : groups[step]) {
      out[step].spread += advantages.deviation[g] / count;
      out[step].dead_share += advantages.dead[g] / count;
    }
    out[step].groups = static_cast<int64_t>(groups[step].size());
  }
  return out;
}

}  // namespace rsm
