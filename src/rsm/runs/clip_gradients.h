#pragma once

#include <torch/types.h>

#include <vector>

namespace rsm {

/** Scales gradients in place so that their Euclidean norm, over all of them
 * together, is at most `max_norm`. Returns the norm before, summed in float64;
 * where that is not finite, they stay as they are. Waits for the device once.
 */
double clip_in_place(std::vector<torch::Tensor>& gradients, double max_norm);

}  // namespace rsm
