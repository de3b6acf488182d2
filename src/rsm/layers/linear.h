#pragma once

#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include "rsm/layers/adaptable.h"

namespace rsm {

/** x [...,in] -> [...,out]; torch.nn.Linear's parameter names. */
class LinearImpl : public Adaptable {
 public:
  /** The weights, [out,in], are arbitrary until they are set. */
  LinearImpl(int64_t in, int64_t out, bool with_bias = true);
  torch::Tensor forward(const torch::Tensor& x) { return map(x); }
};
TORCH_MODULE(Linear);

}  // namespace rsm
