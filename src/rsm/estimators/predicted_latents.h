#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/rollout.h"
#include "rsm/paths/path.h"

namespace rsm {

/** [B,C,H,W] the latents of the pictures that outputs y [B,C,H,W] of some
 * states say. */
torch::Tensor predicted_latents(const Rollout& rollout, const Path& path,
                                const std::vector<int64_t>& states,
                                const torch::Tensor& y);

}  // namespace rsm
