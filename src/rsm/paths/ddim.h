#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/transition.h"

namespace rsm {

/** One time of a diffusion: x = sqrt(alpha_bar) picture +
 * sqrt(1 - alpha_bar) noise. */
struct DdimPoint {
  double t = 0;  ///< timestep / train_steps
  double alpha_bar = 1;
};

/** Noise schedule of Stable Diffusion 1.x: square roots of beta are even
 * ("scaled_linear"), alpha_bar_k = (1 - beta_0) ... (1 - beta_k).
 *
 * Reproduces diffusers' DDIMScheduler with "leading" spacing and
 * set_alpha_to_one = false. */
struct DdimSchedule {
  static constexpr const char* kClass = "DDIMScheduler";
  static constexpr const char* kOtherClass = "PNDMScheduler";

  double beta_start = 0.00085;
  double beta_end = 0.012;
  int64_t train_steps = 1000;
  int64_t steps_offset = 1;  ///< the last timestep before 0

  /** Of a diffusers scheduler_config.json, of DDIMScheduler or, as in the
   * folders of Stable Diffusion 1.x, of PNDMScheduler: the same noise. Absent
   * keys take DDIMScheduler's defaults, and what other schedulers left there
   * is passed over. Throws rsm::Error naming the key for another class, an
   * unknown key, numbers out of range, and for options that change the noise
   * or the step (other spacing, clipping, v prediction, zero terminal SNR,
   * ...).
   */
  static DdimSchedule from_json(const nlohmann::json& config);
  /** The keys that it passes over; see leftover_keys(). */
  static std::vector<std::string> leftovers(const nlohmann::json& config);
  nlohmann::json to_json() const;

  /** alpha_bar of the timesteps 0 to train_steps - 1. */
  std::vector<double> alpha_bars() const;

  /** n + 1 falling timesteps for n steps: steps_offset + k
   * floor(train_steps / n), then 0. alpha_bars()[0] is not quite 1: the last
   * state not quite a picture. Throws rsm::Error where n < 1 or the first
   * timestep is not below train_steps. */
  std::vector<int64_t> timesteps(int64_t n) const;
};

/** How noisy a step is. */
struct DdimNoise {
  /** 0: none, 1: as in DDPM. */
  double eta = 1;
  /** With a weight W the step's s is, at eta = 1, the one of PCPO's release
   * (arXiv 2509.25774): that of (c1 + c2) / s = W, not of the step's own
   * w() = (c1 - c2) / s. See ddim_step(). 4.5 is what the release takes. */
  std::optional<double> weight = std::nullopt;
};

/** The least weight W that an s of the step between two times has:
 * c1 / sqrt(1 - a') as in ddim_step(), above 1; above 4.5 for the last steps of
 * coarse grids. */
double least_weight(const DdimPoint& from, const DdimPoint& to);

/** The step between two times for noise prediction y. With a = alpha_bar, a'
 * the next one and c1 = sqrt(a' (1 - a) / a):
 *
 *     s    = eta sqrt((1 - a') / (1 - a) (1 - a / a')), or with a weight W
 *     s    = eta (W c1 + sqrt((W^2 + 1) (1 - a') - c1^2)) / (W^2 + 1)
 *     c2   = sqrt(1 - a' - s^2)
 *     mean = sqrt(a' / a) x - (c1 - c2) y
 *
 * The score is -y / sqrt(1 - a). With a weight s does not shrink with the step,
 * so many steps narrow normal data: to W / sqrt(1 + W^2) of their spread, at
 * eta = 1. A step to alpha_bar = 1 ends at the predicted picture, s = 0. Throws
 * rsm::Error where t does not fall or alpha_bar does not rise,
 * for eta outside [0, 1], and for a weight below c1 / sqrt(1 - a'), which no s
 * has.
 * Source: Song et al. 2020, arXiv:2010.02502, equations 12 and 16. */
Transition ddim_step(const DdimPoint& from, const DdimPoint& to,
                     const DdimNoise& noise);

}  // namespace rsm
