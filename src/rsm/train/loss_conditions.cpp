#include "rsm/train/loss_conditions.h"

namespace rsm {

LossConditions::LossConditions(const Sampled& sampled,
                               const std::vector<int64_t>& unprompted,
                               const Condition& empty)
    : all_(sampled.conditions), which_(sampled.rollout.state_prompt) {
  if (unprompted.empty()) return;
  const int64_t last = all_.size();
  all_ = joined(all_, empty);
  for (const int64_t state : unprompted) which_.at(state) = last;
}

ConditionRows LossConditions::of(const std::vector<int64_t>& states) const {
  std::vector<int64_t> index;
  for (const int64_t state : states) index.push_back(which_.at(state));
  return {all_, torch::tensor(index, at::kLong)};
}

}  // namespace rsm
