#include "rsm/objective/targets.h"

#include <algorithm>
#include <cmath>

namespace rsm {
namespace {

/** States that are looked at at once. */
constexpr int64_t kAtOnce = 64;

}  // namespace

torch::Tensor target_distances(const Method& method, const Rollout& rollout,
                               const Outputs& outputs,
                               const Guidance& guidance) {
  const torch::NoGradGuard no_grad;
  const auto& trained = guidance.trained;
  const auto count = std::ssize(trained);
  UpdateWeights alone;
  alone.row.assign(rollout.rows(), 1);
  alone.k_old.assign(rollout.states(), 0);
  for (int64_t state = 0; state < rollout.states(); ++state) {
    alone.k_ref.push_back(
        kl_factor(method.regularisation, rollout.transition_of(state)));
  }
  std::vector<torch::Tensor> out;
  for (int64_t first = 0; first < count; first += kAtOnce) {
    const std::vector<int64_t> part(
        trained.begin() + first,
        trained.begin() + std::min(first + kAtOnce, count));
    const auto terms =
        loss_terms(method, rollout, outputs, guidance, alone, part);
    const auto& pull = terms.states.pulls.at(0);
    const auto column = [](const torch::Tensor& values) {
      return values.view({-1, 1, 1, 1});
    };
    const auto apart =
        terms.states.y_old.to(at::kDouble) - pull.toward -
        column(terms.rows.guidance / pull.k) * terms.rows.direction;
    out.push_back((pull.k * apart.square().flatten(1).sum(1)).sqrt());
  }
  return at::cat(out);
}

}  // namespace rsm
