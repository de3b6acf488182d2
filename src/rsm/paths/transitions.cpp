#include "rsm/paths/transitions.h"

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

}  // namespace rsm
