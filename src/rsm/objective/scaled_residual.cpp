#include "rsm/objective/scaled_residual.h"

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/objective/strength.h"

namespace rsm {

double residual_scale(const Transition& step) {
  return kUniformWeight / step.w();
}

OutputMap::OutputMap(const RolloutIndex& rollout) {
  std::vector<float> factors;
  for (int64_t state = 0; state < rollout.states(); ++state) {
    factors.push_back(
        static_cast<float>(residual_scale(rollout.transition_of(state))));
  }
  factor_ = torch::tensor(factors).view({-1, 1, 1, 1});
}

OutputMap OutputMap::of(const Method& method, const RolloutIndex& rollout) {
  return method.strength.scaled_residual ? OutputMap(rollout) : OutputMap();
}

OutputMap OutputMap::select(const std::vector<int64_t>& states,
                            torch::Device device) const {
  OutputMap part;
  if (factor_.defined()) {
    part.factor_ =
        factor_.index_select(0, torch::tensor(states, at::kLong)).to(device);
  }
  return part;
}

torch::Tensor OutputMap::forward(const torch::Tensor& y,
                                 const torch::Tensor& y_ref) const {
  return factor_.defined() ? at::lerp(y_ref, y, factor_) : y;
}

torch::Tensor OutputMap::backward(const torch::Tensor& gradient) const {
  return factor_.defined() ? gradient * factor_ : gradient;
}

double ScaledResidual::factor_at(double t) const {
  constexpr double kRounding = 1e-6;  // of times in float32
  for (const auto& step : steps_) {
    if (std::abs(step.t - t) < kRounding) {
      return residual_scale(step);
    }
  }
  throw Error(cat("[ScaledResidual] t = ", t,
                  " is not among the sampler's times; it can't be continued "
                  "on another grid"));
}

torch::Tensor ScaledResidual::predict(const torch::Tensor& x,
                                      const torch::Tensor& t,
                                      const ConditionRows& conditions) {
  std::vector<float> factors;
  const auto times = t.to(at::kCPU, at::kDouble).contiguous();
  for (int64_t i = 0; i < times.size(0); ++i) {
    factors.push_back(
        static_cast<float>(factor_at(times.const_data_ptr<double>()[i])));
  }
  const auto y = network_.predict(x, t, conditions);
  const auto y_ref = reference_.predict(x, t, conditions);
  return at::lerp(y_ref, y,
                  torch::tensor(factors).to(y.device()).view({-1, 1, 1, 1}));
}

}  // namespace rsm
