#include "rsm/estimators/pair_difference.h"

namespace rsm {
namespace {

/** Added to the mean square of a difference. Source: FDFO's release. */
constexpr double kLeastSquare = 1e-6;

}  // namespace

torch::Tensor pair_directions(const torch::Tensor& latents) {
  const auto pairs = latents.unflatten(0, {-1, 2});
  const auto to_other = (pairs.flip(1) - pairs) / 2;
  const auto square =
      to_other.to(at::kDouble).square().mean({2, 3, 4}, /*keepdim=*/true);
  return (to_other / (square + kLeastSquare).to(latents.scalar_type()))
      .flatten(0, 1);
}

Guidance PairDifference::guide(const Sampled& sampled, int64_t epoch) {
  auto out = ZerothOrder::guide(sampled, epoch);
  out.directions.value = pair_directions(sampled.rollout.latents);
  out.directions.of_row = sampled.rollout.row_image;
  return out;
}

}  // namespace rsm
