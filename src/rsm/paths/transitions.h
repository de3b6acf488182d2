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

}  // namespace rsm
