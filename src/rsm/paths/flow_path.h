#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "rsm/paths/flow_matching.h"
#include "rsm/paths/path.h"

namespace rsm {

/** A rectified flow: signal 1 - t, noise t, y = e - picture. Its ODE step is
 * Euler's; its stochastic steps are Flow-SDE, CPS and the constant SDE of
 * flow_matching.h. */
class FlowPath : public Path {
 public:
  explicit FlowPath(const FlowMatchSchedule& schedule = {})
      : schedule_(schedule) {}

  Family family() const override { return Family::flow; }
  double signal(double t) const override { return 1 - t; }
  double noise(double t) const override { return t; }
  std::vector<double> times(int64_t n) const override;
  std::vector<double> times_from(double t, int64_t n) const override;
  Transition ode_step(const std::vector<double>& times,
                      int64_t i) const override;
  Transition noisy_step(const std::vector<double>& times, int64_t i,
                        const StepNoise& noise) const override;
  double solver_time(double t) const override { return t; }
  torch::Tensor target(const torch::Tensor& picture,
                       const torch::Tensor& noise) const override;
  Prediction prediction(double t) const override;
  nlohmann::json to_json() const override;

 private:
  FlowMatchSchedule schedule_;
};

}  // namespace rsm
