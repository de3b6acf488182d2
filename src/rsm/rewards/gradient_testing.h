#pragma once

#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <functional>

#include "rsm/base/random.h"

/** Gradients against finite differences; no part of the library includes this.
 */
namespace rsm {

/** How far the slopes that `gradient` gives of `of` at `x`, summed over what
 * it returns, are from those of central differences, along three random
 * directions and over the lengths of both: the worst of them. Differences of
 * steps h and 2h are extrapolated, so that errors of order h^2 cancel. */
inline double slope_error(
    const std::function<torch::Tensor(const torch::Tensor&)>& of,
    const torch::Tensor& x, const torch::Tensor& gradient, double step) {
  const torch::NoGradGuard no_grad;
  double worst = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const auto direction = counted_normal(900 + seed, x.sizes());
    const auto difference = [&](double h) {
      const auto rise = of(x + h * direction).to(at::kDouble) -
                        of(x - h * direction).to(at::kDouble);
      return rise.sum().item<double>() / (2 * h);
    };
    const double wanted = (4 * difference(step) - difference(2 * step)) / 3;
    const auto wide = gradient.to(at::kDouble);
    const double found = (wide * direction).sum().item<double>();
    const double scale =
        (wide.norm() * direction.to(at::kDouble).norm()).item<double>();
    const double error = std::abs(found - wanted) / scale;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

}  // namespace rsm
