#pragma once

#include <torch/types.h>

#include <vector>

namespace rsm {

/** A tensor's numbers in host memory, in its order; of an undefined one none.
 */
inline std::vector<double> doubles_of(const torch::Tensor& values) {
  if (!values.defined()) return {};
  const auto flat = values.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* data = flat.const_data_ptr<double>();
  return {data, data + flat.numel()};
}

}  // namespace rsm
