#pragma once

#include <torch/types.h>

namespace rsm {

/** [] float64 on the values' device: their sum of squares, in an order that no
 * number of threads changes, which LibTorch's own sum of many numbers does. */
torch::Tensor square_sum_of(const torch::Tensor& values);

/** The number itself: waits for the device. */
double square_sum(const torch::Tensor& values);

}  // namespace rsm
