#include "rsm/layers/conv.h"

#include <ATen/ops/conv2d.h>

namespace rsm {

ConvImpl::ConvImpl(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                   int64_t padding, bool with_bias)
    : stride_(stride), padding_(padding) {
  weight =
      register_parameter("weight", torch::empty({out, in, kernel, kernel}));
  if (with_bias) {
    bias = register_parameter("bias", torch::empty({out}));
  }
}

torch::Tensor ConvImpl::forward(const torch::Tensor& x) {
  const auto y = at::conv2d(x, weight, bias, stride_, padding_);
  if (!lora.applies()) return y;
  const auto type = x.scalar_type();
  const auto low = at::conv2d(x, lora.down.to(type), {}, stride_, padding_);
  return y.add(at::conv2d(low, lora.up.to(type)), lora.scale);
}

}  // namespace rsm
