#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "rsm/paths/path.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** The network's output at a step's states. */
using OutputAt =
    std::function<torch::Tensor(const torch::Tensor& x, int64_t step)>;
/** Standard normal numbers of a step that draws noise. */
using NoiseAt = std::function<torch::Tensor(int64_t step)>;

/** Where a solver leads from states x [B,C,H,W] at the first of its `times`,
 * with one output a step. */
torch::Tensor solved(const Solving& solving, const Path& path,
                     const std::vector<double>& times, torch::Tensor x,
                     const OutputAt& output, const NoiseAt& noise);

}  // namespace rsm
