#include "rsm/paths/transitions.h"

#include <cmath>
#include <numbers>

#include "rsm/base/error.h"

namespace rsm {
namespace {

torch::Tensor raised(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? x : x.to(torch::kFloat32);
}

}  // namespace

torch::Tensor step_mean(const Transition& transition, const torch::Tensor& x,
                        const torch::Tensor& y) {
  return transition.a_x * raised(x) + transition.m_y * raised(y);
}

torch::Tensor step(const Transition& transition, const torch::Tensor& x,
                   const torch::Tensor& y, const torch::Tensor& eps) {
  const auto mean = step_mean(transition, x, y);
  return transition.s == 0 ? mean : mean + transition.s * raised(eps);
}

torch::Tensor step_noise(const Transition& transition, const torch::Tensor& x,
                         const torch::Tensor& y, const torch::Tensor& x_next) {
  RSM_CHECK(transition.s > 0,
            "[step_noise] a step without noise at t = ", transition.t,
            "; it needs a stochastic step (s > 0)");
  return (raised(x_next) - step_mean(transition, x, y)) / transition.s;
}

torch::Tensor log_prob(const Transition& transition, const torch::Tensor& x,
                       const torch::Tensor& y, const torch::Tensor& x_next) {
  const auto eps = step_noise(transition, x, y, x_next);
  const double constant =
      std::log(transition.s) + 0.5 * std::log(2 * std::numbers::pi);
  return -0.5 * eps.square().flatten(1).mean(1) - constant;
}

}  // namespace rsm
