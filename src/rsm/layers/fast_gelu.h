#pragma once

#include <torch/types.h>

namespace rsm {

/** x <- GELU(x) in its tanh form, in place: x sigmoid(2 sqrt(2/pi) (x +
 * 0.044715 x^3)). A vectorised kernel where x is contiguous float32 or bfloat16
 * on the CPU, within 2e-6 |x| of the exact value there (and half a bfloat16
 * step, as any); at::gelu otherwise. Carries no gradient: for networks that
 * only sample. Source: Hendrycks and Gimpel 2016, arXiv:1606.08415. */
void fast_gelu_(torch::Tensor& x);

}  // namespace rsm
