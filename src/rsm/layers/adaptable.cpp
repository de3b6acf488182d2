#include "rsm/layers/adaptable.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>

namespace rsm {

torch::Tensor Adaptable::map(const torch::Tensor& x) const {
  const auto y = at::linear(x, weight.flatten(1), bias);
  if (!lora.applies()) return y;
  // One product that adds to y: no temporary of y's size.
  const auto type = x.scalar_type();
  const auto low =
      at::linear(x.reshape({-1, x.size(-1)}), lora.down.flatten(1).to(type));
  return at::addmm(y.reshape({-1, y.size(-1)}), low,
                   lora.up.flatten(1).to(type).t(), 1, lora.scale)
      .view(y.sizes());
}

}  // namespace rsm
