#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/picture_knobs.h"

namespace rsm {

/** A distance of outputs from what they are pulled to, d [R,C,H,W]. */
struct Distance {
  torch::Tensor value;  ///< [R] float64: L without g / 2
  torch::Tensor pull;   ///< [R] of its gradient, pull 2 d / D
};

Distance distance_of(const PictureKnobs& knobs, const torch::Tensor& d);

/** What a group's rewards [R] make of its pictures, by PictureKnobs::weight:
 * `advantage` are theirs, groups [R] whom they are compared with. float64. */
torch::Tensor weights_of(const PictureKnobs& knobs,
                         const torch::Tensor& advantage,
                         const std::vector<int64_t>& group);

}  // namespace rsm
