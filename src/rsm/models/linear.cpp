#include "rsm/models/linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <torch/nn/init.h>

namespace rsm {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias) {
  // PyTorch's default initialisation: uniform within 1/sqrt(in).
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  weight = register_parameter(
      "weight", torch::empty({out, in}).uniform_(-bound, bound));
  if (with_bias) {
    bias = register_parameter("bias",
                              torch::empty({out}).uniform_(-bound, bound));
  }
}

torch::Tensor LinearImpl::forward(const torch::Tensor& x) {
  auto y = at::linear(x, weight, bias);
  if (lora.down.defined() && lora.enabled) {
    const auto low = at::linear(x, lora.down.to(x.scalar_type()));
    y = y + lora.scale * at::linear(low, lora.up.to(x.scalar_type()));
  }
  return y;
}

}  // namespace rsm
