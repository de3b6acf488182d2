#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "rsm/paths/ddim.h"
#include "rsm/paths/path.h"

namespace rsm {

/** A diffusion, by default that of Stable Diffusion 1.x: signal
 * sqrt(alpha_bar), noise sqrt(1 - alpha_bar), y = e. It has only the times
 * timestep / train_steps of the timesteps 0 to train_steps - 1; functions of
 * any other time throw rsm::Error. Its ODE step is DDIM's with eta 0; its
 * stochastic steps are DDIM with eta and with PCPO's weight. */
class DdimPath : public Path {
 public:
  explicit DdimPath(const DdimSchedule& schedule = {});
  /** Of any alpha_bar of the timesteps from 0 on, which fall from at most 1,
   * and the one grid that it is sampled on: timesteps that fall to 0. It has no
   * scheduler_config.json. Throws rsm::Error for numbers that do not. */
  DdimPath(std::vector<double> alpha_bars, std::vector<int64_t> grid);

  Family family() const override { return Family::diffusion; }
  double signal(double t) const override;
  double noise(double t) const override;
  std::vector<double> times(int64_t n) const override;
  /** Even in timesteps, each rounded to a whole one. */
  std::vector<double> times_from(double t, int64_t n) const override;
  double nearest_time(double t) const override;
  Transition ode_step(const std::vector<double>& times,
                      int64_t i) const override;
  Transition noisy_step(const std::vector<double>& times, int64_t i,
                        const StepNoise& noise) const override;
  double solver_time(double t) const override;
  torch::Tensor target(const torch::Tensor& picture,
                       const torch::Tensor& noise) const override;
  Prediction prediction(double t) const override;
  nlohmann::json to_json() const override;

 private:
  int64_t timestep(double t) const;
  double alpha_bar(double t) const { return alpha_bars_[timestep(t)]; }
  Transition step(const std::vector<double>& times, int64_t i,
                  const DdimNoise& noise) const;
  /** Transition::short_stride_ratio. */
  double short_stride_ratio(const std::vector<double>& times, int64_t i) const;

  DdimSchedule schedule_;
  double train_steps_;
  std::vector<double> alpha_bars_;
  std::vector<int64_t> grid_;  ///< empty: the schedule's
};

}  // namespace rsm
