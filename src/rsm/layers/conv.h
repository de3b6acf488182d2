#pragma once

#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include "rsm/layers/adaptable.h"

namespace rsm {

/** x [B,in,H,W] -> [B,out,H',W']; torch.nn.Conv2d's parameter names. Unlike
 * torch::nn::Conv2d it spends no time on first weights. */
class ConvImpl : public Adaptable {
 public:
  /** `kernel` and the other sizes are those of both directions. The weights,
   * [out,in,kernel,kernel], are arbitrary until they are set. */
  ConvImpl(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
           int64_t padding = 0, bool with_bias = true);
  torch::Tensor forward(const torch::Tensor& x);

  /** The same of pictures cut into what the kernel sees, in x kernel x kernel
   * in a row: x [...,in*kernel*kernel] -> [...,out]. Pixels in a row are that
   * for a kernel of 1. */
  torch::Tensor of_patches(const torch::Tensor& x) const { return map(x); }

 private:
  int64_t stride_, padding_;
};
TORCH_MODULE(Conv);

}  // namespace rsm
