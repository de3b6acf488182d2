#include "rsm/estimators/reward_gradient.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr double kNormFloor = 1e-8;  // VGG-Flow's

/** All latents at once. */
RewardGradient of_tile(const Reward& reward, const Decoder& decoder,
                       const torch::Tensor& latents, const Prompts& prompts) {
  const at::AutoGradMode enabled(true);
  const auto leaf = latents.detach().to(at::kFloat).requires_grad_(true);
  const auto pictures = decoder.pictures(leaf);
  const auto wide = at::promote_types(pictures.scalar_type(), at::kFloat);
  const auto value =
      reward.value_of(pictures.to(wide).clamp(0, 1), prompts).flatten();
  RSM_CHECK(value.size(0) == std::ssize(prompts), "[reward ", reward.name(),
            "] ", value.size(0), " values arrived for ", prompts.size(),
            " images; one for each is needed; mend the reward");
  RSM_CHECK(value.requires_grad(), "[reward ", reward.name(),
            "] its value carries no gradient; compute value_of() from the "
            "pictures, without detaching, or let is_differentiable() say no");
  const auto gradient =
      torch::autograd::grad({value}, {leaf}, {at::ones_like(value)})[0];
  return {value.detach().to(at::kCPU, at::kFloat),
          gradient.to(at::kCPU, at::kFloat)};
}

void check_finite(const Reward& reward, const RewardGradient& found,
                  const Prompts& prompts) {
  const auto finite = found.value.isfinite().logical_and(
      found.gradient.isfinite().flatten(1).all(1));
  const auto bad = finite.logical_not().nonzero();
  if (bad.numel() == 0) return;
  const auto first = bad[0].item<int64_t>();
  throw Error(cat("[reward ", reward.name(),
                  "] its gradient is not finite for \"", prompts[first].text,
                  "\" (latent ", first, " of ", prompts.size(), ", value ",
                  found.value[first].item<float>(),
                  "); look for divergence upstream, or mend the reward"));
}

/** [B] float64. Row by row, as sums of many rows add up in another order. */
torch::Tensor wide_norms(const torch::Tensor& gradient) {
  const auto out =
      at::empty({gradient.size(0)}, gradient.options().dtype(at::kDouble));
  for (int64_t row = 0; row < gradient.size(0); ++row) {
    out[row].copy_(gradient[row].to(at::kDouble).norm());
  }
  return out;
}

}  // namespace

RewardGradient reward_gradient(const Reward& reward, const Decoder& decoder,
                               const torch::Tensor& latents,
                               const Prompts& prompts, int64_t at_once) {
  RSM_CHECK(latents.dim() == 4 && latents.size(0) == std::ssize(prompts),
            "[reward ", reward.name(), "] latents ", latents.sizes(), " and ",
            prompts.size(),
            " prompts arrived for a gradient; allowed: "
            "[B,C,H,W] and one prompt each");
  RSM_CHECK(at_once >= 1, "[reward ", reward.name(), "] ", at_once,
            " latents at once; give 1 or more");
  const auto all = std::ssize(prompts);
  const auto host = at::TensorOptions(at::kFloat);
  RewardGradient out{at::empty({all}, host), at::empty(latents.sizes(), host)};
  for (int64_t first = 0; first < all; first += at_once) {
    const int64_t count = std::min(at_once, all - first);
    const auto tile =
        of_tile(reward, decoder, latents.narrow(0, first, count),
                {prompts.begin() + first, prompts.begin() + first + count});
    out.value.narrow(0, first, count).copy_(tile.value);
    out.gradient.narrow(0, first, count).copy_(tile.gradient);
  }
  check_finite(reward, out, prompts);
  return out;
}

torch::Tensor norms(const torch::Tensor& gradient) {
  return wide_norms(gradient).to(at::kFloat);
}

torch::Tensor clip_gradients(torch::Tensor gradient, double max_norm) {
  RSM_CHECK(max_norm > 0, "[clip_gradients] got a largest norm of ", max_norm,
            "; allowed: above 0");
  const auto norm = wide_norms(gradient);
  const auto factor = norm.clamp_max(max_norm) / (norm + kNormFloor);
  auto shape = std::vector<int64_t>(gradient.dim(), 1);
  shape[0] = gradient.size(0);
  return (gradient.to(at::kDouble) * factor.view(shape))
      .to(gradient.scalar_type());
}

}  // namespace rsm
