#include "rsm/data/scene_statistics.h"

#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr int64_t kReach = 3;           // pixels, of the window
constexpr double kDeviation = 7.0 / 6;  // pixels
constexpr double kSmallestShape = 0.2;  // of the search
constexpr double kShapeStep = 0.001;
constexpr int64_t kShapes = 9801;
constexpr double kRounding = 1e-10;  // bytes differ by 1e-6 at least

torch::Tensor log_gamma(const torch::Tensor& x) { return at::lgamma(x); }

/** (E|x|)^2 / E x^2 of each shape that is tried, which it rises with. */
torch::Tensor ratios_of(const torch::Tensor& shapes) {
  const auto inverse = shapes.reciprocal();
  return (2 * log_gamma(2 * inverse) - log_gamma(inverse) -
          log_gamma(3 * inverse))
      .exp();
}

/** [H,W] -> the same, averaged over the window. */
torch::Tensor averaged(const torch::Tensor& grey) {
  const auto place = at::arange(-kReach, kReach + 1, at::kDouble);
  auto window = (-0.5 * (place / kDeviation).square()).exp();
  window = window / window.sum();
  const auto padded =
      at::replication_pad2d(grey.view({1, 1, grey.size(0), grey.size(1)}),
                            {kReach, kReach, kReach, kReach});
  const auto down = at::conv2d(padded, window.view({1, 1, -1, 1}));
  return at::conv2d(down, window.view({1, 1, 1, -1})).view(grey.sizes());
}

}  // namespace

torch::Tensor grey_bytes(const torch::Tensor& picture) {
  RSM_CHECK(picture.dim() == 3 && picture.size(0) == 3 && picture.numel() > 0,
            "[scene statistics] a picture of shape ", picture.sizes(),
            "; [3,H,W] is needed");
  const auto bytes =
      (picture.detach().to(at::kCPU, at::kDouble) * 255).round().clamp(0, 255);
  return (0.299 * bytes[0] + 0.587 * bytes[1] + 0.114 * bytes[2]).round();
}

torch::Tensor contrast_normalised(const torch::Tensor& grey, double constant) {
  const auto mean = averaged(grey);
  const auto deviation = (averaged(grey.square()) - mean.square()).abs().sqrt();
  const auto away = grey - mean;
  // Where nothing differs, what is left is rounding.
  return away.masked_fill(away.abs() < kRounding, 0) / (deviation + constant);
}

torch::Tensor AsymmetricGaussian::scale_factor() const {
  const auto inverse = shape.reciprocal();
  return (0.5 * (log_gamma(inverse) - log_gamma(3 * inverse))).exp();
}

torch::Tensor AsymmetricGaussian::mean() const {
  const auto inverse = shape.reciprocal();
  return (right - left) * scale_factor() *
         (log_gamma(2 * inverse) - log_gamma(inverse)).exp();
}

AsymmetricGaussian fit_asymmetric_gaussian(const torch::Tensor& values) {
  const auto size_where = [&](const torch::Tensor& mask) {
    const auto kept = mask.to(at::kDouble);
    return ((values.square() * kept).sum(1) / kept.sum(1)).sqrt();
  };
  AsymmetricGaussian out;
  out.left = size_where(values < 0);
  out.right = size_where(values > 0);
  const auto ratio = out.left / out.right;
  const auto found = values.abs().mean(1).square() / values.square().mean(1) *
                     (ratio.pow(3) + 1) * (ratio + 1) /
                     (ratio.square() + 1).square();
  const auto shapes =
      kSmallestShape + kShapeStep * at::arange(kShapes, at::kDouble);
  const auto tried = ratios_of(shapes);
  const auto above = at::searchsorted(tried, found).clamp(1, kShapes - 1);
  const auto below = above - 1;
  const auto nearer_below = (found - tried.index_select(0, below)).abs() <=
                            (found - tried.index_select(0, above)).abs();
  out.shape = shapes.index_select(0, at::where(nearer_below, below, above));
  out.shape = out.shape.masked_fill(found.isnan(), NAN);
  return out;
}

}  // namespace rsm
