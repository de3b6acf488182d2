#pragma once

#include <torch/types.h>

#include "rsm/base/estimator.h"

namespace rsm {

/** Pictures [B,3,H,W] as they are compared by their pixels, [B,F] float32:
 * means over even parts, at most 32 x 32 of them. */
torch::Tensor pixel_features(const torch::Tensor& images);

/** Advantages above 0 times how far the row's picture is from the nearest other
 * of its group, over the group's mean of that, and at most `clip`; GARDO (arXiv
 * 2512.24138) compares DINOv3's features so. Distances are root mean squares of
 * features [I,F]. Groups of one picture, and of pictures that are all the same,
 * keep theirs. Rows lead to one picture each. */
void count_diversity(const RolloutIndex& rollout, const torch::Tensor& features,
                     double clip, Advantages& advantages);

}  // namespace rsm
