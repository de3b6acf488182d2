#include "rsm/layers/linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>

namespace rsm {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias) {
  weight = register_parameter("weight", torch::empty({out, in}));
  if (with_bias) {
    bias = register_parameter("bias", torch::empty({out}));
  }
}

torch::Tensor LinearImpl::forward(const torch::Tensor& x) {
  const auto y = at::linear(x, weight, bias);
  if (!lora.down.defined() || !lora.enabled) {
    return y;
  }
  // One product that adds to y: no temporary of y's size.
  const auto type = x.scalar_type();
  const auto low = at::linear(x.reshape({-1, x.size(-1)}), lora.down.to(type));
  return at::addmm(y.view({-1, y.size(-1)}), low, lora.up.to(type).t(), 1,
                   lora.scale)
      .view(y.sizes());
}

}  // namespace rsm
