#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

namespace rsm {

/** x [B,in,H,W] -> [B,out,H',W']; torch.nn.Conv2d's parameter names. Unlike
 * torch::nn::Conv2d it spends no time on first weights. */
class ConvImpl : public torch::nn::Module {
 public:
  /** `kernel` and the other sizes are those of both directions. The weights are
   * arbitrary until they are set. */
  ConvImpl(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
           int64_t padding = 0, bool with_bias = true);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;  ///< [out,in,kernel,kernel]
  torch::Tensor bias;    ///< [out]; undefined without bias

 private:
  int64_t stride_, padding_;
};
TORCH_MODULE(Conv);

}  // namespace rsm
