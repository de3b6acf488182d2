#pragma once

#include <torch/types.h>

#include <cstdint>

namespace rsm {

/** How a picture comes to fit a square: its shorter side is resized to it and
 * the middle is taken, as CLIP's own preprocessing does; or its longer side is,
 * with black around the rest, as HPSv2's does. */
enum class ClipFit { crop, pad };

/** What CLIP's vision tower is shown: images [B,3,H,W] in [0,1], H, W >= 1, ->
 * [B,3,size,size], resized bicubically with antialiasing, then normalised by
 * CLIP's mean and deviation. Differentiable, in the images' type and on their
 * device.
 *
 * Sizes and crops are those of transformers' CLIPImageProcessor and of HPSv2's
 * ResizeMaxSize, and the filter is PIL's BICUBIC in floating point. Published
 * code that resizes PIL images of bytes rounds, and clips to 0 to 255, after
 * each direction besides: this does neither, so that there is a gradient. */
torch::Tensor clip_pixels(const torch::Tensor& images, int64_t size,
                          ClipFit fit);

}  // namespace rsm
