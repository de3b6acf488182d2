#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/transition.h"

namespace rsm {

/** What a stochastic step draws. */
struct StepNoise {
  SamplerNoise kind = SamplerNoise::usual;
  /** usual: a of Flow-SDE, eta of DDIM; cps: a in s = t' sin(a pi / 2);
   * constant: s~; even_weight: eta; precise: as of Flow-SDE; churn: gamma, each
   * step keeps 1 / (1 + gamma) of its noise. 0 is no noise; eta and cps end at
   * 1. */
  double level = 0.7;
  /** W of even_weight. Steps where no s has it, the last ones of coarse grids,
   * take DDPM's s. */
  double weight = 4.5;
  /** One for each step, in place of `level`; the last is of further ones too.
   * Empty: they have all the same. Source: DenseGRPO, arXiv 2601.20218. */
  std::vector<double> levels = {};

  double level_at(int64_t step) const {
    if (levels.empty()) return level;
    return levels[std::min<size_t>(static_cast<size_t>(step),
                                   levels.size() - 1)];
  }
};

/** How a family of models turns pictures into noise, and which steps lead back.
 *
 *     x_t = signal(t) picture + noise(t) e,   t in [0,1], 1 = noise
 *
 * Flows predict y = e - picture, diffusion models y = e. Times are lists that
 * fall from the noisiest to 0; step i of `times` leads from times[i] to
 * times[i + 1]. Immutable. */
class Path {
 public:
  virtual ~Path() = default;

  virtual Family family() const = 0;
  virtual double signal(double t) const = 0;
  virtual double noise(double t) const = 0;

  /** n + 1 times of a sampler of n >= 1 steps. Throws rsm::Error where the path
   * has no such grid. */
  virtual std::vector<double> times(int64_t n) const = 0;
  /** n + 1 times from `t` in (0,1] to 0, for n steps of a solver of higher
   * order. Throws rsm::Error where so many do not fit. */
  virtual std::vector<double> times_from(double t, int64_t n) const = 0;

  /** The time in [0,1], and not 0, nearest to t that a network was trained at.
   */
  virtual double nearest_time(double t) const { return t; }

  /** The deterministic step i: s = 0. */
  virtual Transition ode_step(const std::vector<double>& times,
                              int64_t i) const = 0;
  /** The stochastic step i. s is 0 at level 0 and, of cps, where the step leads
   * to t = 0. Throws rsm::UsageError naming sampling.sampler for a kind the
   * family does not have; rsm::Error for i outside the grid, a level out of
   * range, and a weight of 1 or less, which no step has. */
  virtual Transition noisy_step(const std::vector<double>& times, int64_t i,
                                const StepNoise& noise) const = 0;
  /** The stochastic step of every index. */
  Transitions noisy_steps(const std::vector<double>& times,
                          const StepNoise& noise) const;

  /** The time in which the ODE is x' = y once its linear part is solved, so
   * that a multistep solver extrapolates y in it: t for flows, noise / signal
   * for diffusion. */
  virtual double solver_time(double t) const = 0;

  /** The share of the change of outputs, y - y_before, that a multistep solver
   * of second order adds to y at step i > 0 of `times`: h / (2 h_before) in
   * solver_time(). */
  double extrapolation(const std::vector<double>& times, int64_t i) const;

  /** What a network given pictures and noise [B,...] is to predict. */
  virtual torch::Tensor target(const torch::Tensor& picture,
                               const torch::Tensor& noise) const = 0;

  /** The picture that an output says: x x + y y. */
  struct Prediction {
    double x, y;
  };
  virtual Prediction prediction(double t) const = 0;

  /** The scheduler_config.json of diffusers. */
  virtual nlohmann::json to_json() const = 0;

  /** The path of a scheduler_config.json, by its class. Throws rsm::Error
   * naming the class or key that is not supported. */
  static std::shared_ptr<const Path> from_json(const nlohmann::json& config);
  /** Keys of such a config that are left from other schedulers and, as in
   * diffusers, passed over. */
  static std::vector<std::string> leftovers(const nlohmann::json& config);
};

/** Throws rsm::Error unless `times` has a step i, and it falls within 1 to 0.
 */
void check_step(const std::vector<double>& times, int64_t i);

/** StepNoise::level where a config gives none: 0.7, 1 for DDIM, 0.3 for the
 * constant SDE, 0.0025 of churn. */
double usual_level(SamplerNoise kind, Family family);

}  // namespace rsm
