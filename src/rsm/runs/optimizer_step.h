#pragma once

#include <torch/optim/optimizer.h>

#include <vector>

namespace rsm {

/** A step of an optimiser of one group of parameters along these gradients, one
 * a parameter in its order; no parameter keeps one. */
void step_along(torch::optim::Optimizer& optimiser,
                const std::vector<torch::Tensor>& gradients);

}  // namespace rsm
