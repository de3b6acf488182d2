#include "rsm/analysis/loss_guidance.h"

#include "rsm/objective/loss.h"
#include "rsm/objective/strength.h"

namespace rsm {

UpdateWeights guidance_weights(const Method& method,
                               const RolloutIndex& rollout,
                               const Advantages& advantages,
                               const std::vector<int64_t>& states) {
  auto out = update_weights(method, rollout, advantages, states);
  out.k_ref.assign(rollout.states(), 0);
  out.k_old.assign(rollout.states(), 0);
  return out;
}

torch::Tensor guidance_gradient(const Method& method, const Rollout& rollout,
                                const Guidance& guidance,
                                const UpdateWeights& weights,
                                const std::vector<int64_t>& states,
                                const torch::Tensor& y) {
  Outputs outputs;
  outputs.old = {y, states};
  const auto terms = loss_terms(method, rollout, outputs, guidance, weights,
                                states, y.device());
  return rsm_loss(y, terms.states, terms.rows).gradient;
}

torch::Tensor loss_guidance(const Method& method, const Rollout& rollout,
                            const Guidance& guidance,
                            const std::vector<int64_t>& states) {
  const auto index = torch::tensor(states, at::kLong);
  const auto gradient = guidance_gradient(
      method, rollout, guidance,
      guidance_weights(method, rollout, guidance.advantages, states), states,
      rollout.y.index_select(0, index));
  std::vector<double> h;
  for (const int64_t state : states) {
    h.push_back(
        guidance_strength(method.strength, rollout.transition_of(state)));
  }
  const auto elements = static_cast<double>(rollout.y[0].numel());
  return 0.5 * elements * gradient.to(at::kDouble) /
         torch::tensor(h, at::kDouble).view({-1, 1, 1, 1});
}

double carried_share(const Transition& transition) {
  return transition.s * transition.s * transition.delta / transition.M();
}

}  // namespace rsm
