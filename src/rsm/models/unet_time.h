#pragma once

#include <torch/types.h>

#include "rsm/models/unet_config.h"

namespace rsm {

/** The timestep nearest to times t in [0,1]: of 1000, as the UNets are trained.
 */
torch::Tensor unet_timestep(const torch::Tensor& t);

/** timestep [B] -> its sines and cosines, [B,channels of the first level],
 * float32. */
torch::Tensor unet_time_features(const torch::Tensor& timestep,
                                 const UnetConfig& config);

}  // namespace rsm
