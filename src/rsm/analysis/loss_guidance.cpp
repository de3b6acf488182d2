#include "rsm/analysis/loss_guidance.h"

#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"

namespace rsm {

torch::Tensor loss_guidance(const Method& method, const Rollout& rollout,
                            const Guidance& guidance,
                            const std::vector<int64_t>& states) {
  const auto index = torch::tensor(states, at::kLong);
  Outputs outputs;
  outputs.old = {rollout.y.index_select(0, index), states};
  auto weights = update_weights(method, rollout, guidance.advantages, states);
  weights.k_ref.assign(rollout.states(), 0);
  weights.k_old.assign(rollout.states(), 0);
  const auto terms =
      loss_terms(method, rollout, outputs, guidance, weights, states);
  const auto result = rsm_loss(outputs.old.y, terms.states, terms.rows);
  std::vector<double> h;
  for (const int64_t state : states) {
    h.push_back(
        guidance_strength(method.strength, rollout.transition_of(state)));
  }
  const auto elements = static_cast<double>(rollout.y[0].numel());
  return 0.5 * elements * result.gradient.to(at::kDouble) /
         torch::tensor(h, at::kDouble).view({-1, 1, 1, 1});
}

double carried_share(const Transition& transition) {
  return transition.s * transition.s * transition.delta / transition.M();
}

}  // namespace rsm
