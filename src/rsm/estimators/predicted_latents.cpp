#include "rsm/estimators/predicted_latents.h"

namespace rsm {

torch::Tensor predicted_latents(const Rollout& rollout, const Path& path,
                                const std::vector<int64_t>& states,
                                const torch::Tensor& y) {
  auto out = at::empty_like(y);
  for (size_t i = 0; i < states.size(); ++i) {
    const auto by = path.prediction(rollout.transition_of(states[i]).t);
    const auto at = static_cast<int64_t>(i);
    out[at].copy_(by.x * rollout.x[states[i]] + by.y * y[at]);
  }
  return out;
}

}  // namespace rsm
