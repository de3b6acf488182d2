#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

namespace rsm {

/** A low-rank addition to a Linear: W + scale * up * down. Empty when `down`
 * is undefined. `down` [r,in] is PEFT's lora_A, `up` [out,r] its lora_B. */
struct LowRank {
  torch::Tensor down;
  torch::Tensor up;
  double scale = 1;  ///< alpha / r
  bool enabled = true;
};

/** x [...,in] -> [...,out]; torch.nn.Linear's parameter names, plus a place
 * for a LoRA. That is computed in the type of x, whatever its own, as PEFT's is
 * under autocast: float32 LoRAs train on bfloat16 weights. It is not among the
 * module's parameters: it is owned by the LoraAdapter that attached it
 * (models/lora.h). */
class LinearImpl : public torch::nn::Module {
 public:
  /** The weights are arbitrary until they are set. */
  LinearImpl(int64_t in, int64_t out, bool with_bias = true);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;  ///< [out,in]
  torch::Tensor bias;    ///< [out]; undefined without bias
  LowRank lora;
};
TORCH_MODULE(Linear);

}  // namespace rsm
