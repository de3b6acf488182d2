#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/base/transition.h"

namespace rsm {

/** Time grid of a rectified flow, x_t = (1 - t) picture + t noise.
 *
 * Reproduces diffusers' FlowMatchEulerDiscreteScheduler, which shifts twice:
 * once its training grid, whose ends it keeps, then the grid between these
 * ends. So the last time above 0 is the same for every number of steps. */
struct FlowMatchSchedule {
  static constexpr const char* kClass = "FlowMatchEulerDiscreteScheduler";

  /** u -> shift u / (1 + (shift - 1) u); more than 1 spends steps on noise. */
  double shift = 3;
  int64_t train_steps = 1000;
  /** false: one shift of an even grid from 1 to 0. */
  bool double_shift = true;

  /** Of a diffusers scheduler_config.json; absent keys take diffusers'
   * defaults, and what other schedulers left there is passed over. Throws
   * rsm::Error for another class, an unknown key, numbers out of range and for
   * options that change the grid (dynamic shifting, Karras, exponential or
   * beta sigmas, ...). */
  static FlowMatchSchedule from_json(const nlohmann::json& config);
  /** The keys that it passes over; see leftover_keys(). */
  static std::vector<std::string> leftovers(const nlohmann::json& config);
  /** The same file's contents; double_shift = false can't be said there and
   * throws. */
  nlohmann::json to_json() const;

  /** n + 1 falling times from 1 to 0 for n >= 1 steps. */
  std::vector<double> times(int64_t n) const;

  /** n + 1 falling times from `t` in (0, 1] to 0, even before the shift. */
  std::vector<double> times_from(double t, int64_t n) const;
};

/** The stochastic step i of `times` for velocity prediction v = noise -
 * picture, with diffusion s~ = noise_level sqrt(t / (1 - t)):
 *
 *     mean = x (1 - s~^2 dt / (2 t)) - v (1 + s~^2 (1 - t) / (2 t)) dt
 *     s    = s~ sqrt(dt)
 *
 * Where t is exactly 1 the t inside s~ (and only there) is the next time.
 * For t < 1, s^2 / Omega = a^2 / (1 + a^2 / 2) at every step, a = noise_level.
 * From t = 1 on, the spread after n steps is off by n^-min(1, a^2), not by
 * 1 / n, as s~ is unbounded there. Throws for i outside the grid or a negative
 * noise level. Source: Flow-GRPO, arXiv 2505.05470, and its release. */
Transition flow_sde_step(const std::vector<double>& times, int64_t i,
                         double noise_level);

/** The same with one diffusion s~ at all times; s = s~ sqrt(dt).
 * Source: DanceGRPO, arXiv 2505.07818, and Branch-GRPO's release. */
Transition flow_constant_step(const std::vector<double>& times, int64_t i,
                              double diffusion);

/** The step that keeps the coefficients of picture and noise: with t' the next
 * time, picture x - t v, noise x + (1 - t) v and angle = level pi / 2,
 *
 *     mean = (1 - t') (x - t v) + t' cos(angle) (x + (1 - t) v)
 *     s    = t' sin(angle)
 *
 * The last step, to t' = 0, has no noise. s does not shrink with dt, so many
 * steps narrow normal data: to cos(angle / 2) of their spread. Throws for i
 * outside the grid or a level outside [0, 1].
 * Source: Wang & Yu 2025, arXiv 2509.05952, and Flow-GRPO's release. */
Transition flow_cps_step(const std::vector<double>& times, int64_t i,
                         double level);

/** What Flow-SDE's step is where the predicted picture stays the same over it:
 * with picture and noise as above,
 *
 *     rho  = (t' (1 - t) / (t (1 - t')))^(level^2 / 2)
 *     mean = (1 - t') (x - t v) + t' rho (x + (1 - t) v)
 *     s    = t' sqrt(1 - rho^2)
 *
 * so x' has the noise that t' says however long the step is; short ones are
 * Flow-SDE's. From t = 1 on rho is 0: the step draws all its noise anew. Throws
 * for i outside the grid or a negative level.
 * Source: PRECISE, arXiv 2605.23522. */
Transition flow_precise_step(const std::vector<double>& times, int64_t i,
                             double level);

/** The ODE's step beyond t', and as much new noise as leads back to it: EDM's
 * churn. With picture and noise as above and rho = 1 / (1 + level),
 *
 *     mean = (1 - t') (x - t v) + t' rho (x + (1 - t) v)
 *     s    = t' sqrt(1 - rho^2)
 *
 * which is the step of flow_cps_step() whose cosine is rho. Throws for i
 * outside the grid or a negative level. Source: FDFO's release, arXiv
 * 2603.12893, for flows. */
Transition flow_churn_step(const std::vector<double>& times, int64_t i,
                           double level);

/** Euler's step i of the flow's ODE: a_x = 1, m_y = -dt, s = 0. */
Transition flow_ode_step(const std::vector<double>& times, int64_t i);

}  // namespace rsm
