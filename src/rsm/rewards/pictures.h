#pragma once

#include <torch/types.h>

#include <string>

#include "rsm/base/prompt.h"

/** What rewards share about the pictures that they are given. */
namespace rsm {

/** Throws rsm::Error, beginning with "[who]", unless images are [B,3,H,W],
 * H, W >= 1, float32 on the CPU, finite (naming the first that is not), and
 * prompts are as many. */
void check_pictures(const std::string& who, const torch::Tensor& images,
                    const Prompts& prompts);

/** [B,3,H,W] float in [0,1] -> [B,H,W,3] uint8, contiguous: clamped, then
 * rounded to the nearest 1/255, as encode_png (io/image.h) does it. */
torch::Tensor picture_bytes(const torch::Tensor& images);

}  // namespace rsm
