#include "rsm/paths/flow_path.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"

namespace rsm {

std::vector<double> FlowPath::times(int64_t n) const {
  return schedule_.times(n);
}

std::vector<double> FlowPath::times_from(double t, int64_t n) const {
  return schedule_.times_from(t, n);
}

Transition FlowPath::ode_step(const std::vector<double>& times,
                              int64_t i) const {
  return flow_ode_step(times, i);
}

Transition FlowPath::noisy_step(const std::vector<double>& times, int64_t i,
                                const StepNoise& noise) const {
  switch (noise.kind) {
    case SamplerNoise::usual:
      return flow_sde_step(times, i, noise.level_at(i));
    case SamplerNoise::cps:
      return flow_cps_step(times, i, noise.level_at(i));
    case SamplerNoise::constant:
      return flow_constant_step(times, i, noise.level_at(i));
    case SamplerNoise::precise:
      return flow_precise_step(times, i, noise.level_at(i));
    case SamplerNoise::churn:
      return flow_churn_step(times, i, noise.level_at(i));
    case SamplerNoise::even_weight:
      break;
  }
  throw UsageError(
      "[sampling.sampler] even_weight is for diffusion models, the model is a "
      "flow; allowed: usual, cps, constant, precise, churn");
}

torch::Tensor FlowPath::target(const torch::Tensor& picture,
                               const torch::Tensor& noise) const {
  return noise - picture;
}

Path::Prediction FlowPath::prediction(double t) const { return {1, -t}; }

nlohmann::json FlowPath::to_json() const { return schedule_.to_json(); }

}  // namespace rsm
