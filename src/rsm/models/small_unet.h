#pragma once

#include <cstdint>
#include <vector>

#include "rsm/models/network.h"
#include "rsm/models/unet_config.h"

namespace rsm {

/** diffusers' UNet2DConditionModel with its defaults but for `channels` of its
 * levels, one layer a block, for latents and tokens of these widths; fewer
 * heads than its eight where they would be narrower than eight numbers. Source:
 * the value networks of the releases of arXiv 2512.05116 and 2412.07775. */
UnetConfig small_unet_config(const std::vector<int64_t>& channels,
                             int64_t latent_channels, int64_t text_width);

/** A UNet of any time, so that differences in it are not those of rounded
 * timesteps. Its weights are arbitrary. */
Network small_unet(const UnetConfig& config);

}  // namespace rsm
