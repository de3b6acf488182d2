#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/transition.h"

namespace rsm {

/** Factor of TempFlow-GRPO's noise-aware weight 2.25 s. It is 1 / mean(s) =
 * 2.25223, rounded, over the nine trained steps of a 10-step flow with shift 3
 * and noise level 0.7. Source: Reward Score Matching's release
 * (arXiv 2604.17415) for TempFlow-GRPO (arXiv 2508.04324). */
constexpr double kNoiseScale = 2.25;

/** zeta of PCPO's proportional weight zeta dt for flows, a constant of the
 * release of arXiv 2604.17415 for PCPO (arXiv 2509.25774); it only rescales
 * the learning signal and the clip boundary. */
constexpr double kProportionalScale = 4.3152134639895925;

/** PCPO's one weight for all times of a diffusion sampler, in place of w: 4.5 /
 * 8.70575076181, which is the mean w of DDPM's 50 steps of Stable Diffusion
 * 1.5. Source: the release of arXiv 2509.25774. */
constexpr double kUniformWeight = 4.5 / 8.70575076181;

/** Added to t where `exact` strength divides by it. Source: the release of
 * arXiv 2602.04663. */
constexpr double kExactOffset = 1e-3;

/** g(t): the factor on -A log rho, and that of which a gradient acts like noise
 * over s. constant 1, noise 2.25 s, proportional zeta dt / w, uniform
 * 0.5169 / w, sigma s / dt, variance s^2; what h(t) = g M / 2 is said of flat,
 * linear, quadratic, predicted, predicted_squared and exact, and g of
 * residual, residual_linear and short_stride, see StrengthKnobs::Shape; times
 * knobs.scale and the step's weight. Throws for s = 0. */
double strength(const StrengthKnobs& knobs, const Transition& transition);

/** h(t) = g M / 2: how strongly the value gradient acts on the network's
 * output, up to one constant for all times. Finite at t = 1.
 * Source: arXiv 2604.17415, with C1 gamma s^2 / (alpha Omega) times
 * |d score / d output|. */
double guidance_strength(const StrengthKnobs& knobs,
                         const Transition& transition);

/** [N] h(t) of each step, 0 where K_i = 0, with what the method discounts and
 * scales by. K_i changes the estimate's variance, not h. */
std::vector<double> h_by_step(const Method& method,
                              const Transitions& transitions);

/** The same, normalised to sum 1 (all 0 where nothing is trained). */
std::vector<double> normalised_h(const Method& method,
                                 const Transitions& transitions);

}  // namespace rsm
