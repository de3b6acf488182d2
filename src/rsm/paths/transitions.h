#pragma once

#include <torch/types.h>

#include "rsm/base/transition.h"

namespace rsm {

// Tensors are [B,C,H,W] on one device; half precision is raised to float32
// first, float64 stays.

/** Mean of the step: a_x x + m_y y. */
torch::Tensor step_mean(const Transition& transition, const torch::Tensor& x,
                        const torch::Tensor& y);

/** The step itself: mean + s eps. */
torch::Tensor step(const Transition& transition, const torch::Tensor& x,
                   const torch::Tensor& y, const torch::Tensor& eps);

/** The noise that leads from x to x_next: (x_next - mean) / s.
 * Throws where s = 0. */
torch::Tensor step_noise(const Transition& transition, const torch::Tensor& x,
                         const torch::Tensor& y, const torch::Tensor& x_next);

/** [B] log-density of x_next, averaged over latent elements, not summed:
 * 1/D of the true one, which is what the published clip ranges refer to.
 * Throws where s = 0. Source: Flow-GRPO, arXiv 2505.05470, its release. */
torch::Tensor log_prob(const Transition& transition, const torch::Tensor& x,
                       const torch::Tensor& y, const torch::Tensor& x_next);

}  // namespace rsm
