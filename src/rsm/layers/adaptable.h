#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

namespace rsm {

/** A low-rank addition to a weight W [out,in]: W + scale * up * down. Empty
 * when `down` is undefined. `down` [r,in] is PEFT's lora_A, `up` [out,r] its
 * lora_B. Of a convolution, W [out,in,k,k], they are two convolutions, one
 * after the other: [r,in,k,k] as W's, and [out,r,1,1]. */
struct LowRank {
  torch::Tensor down;
  torch::Tensor up;
  double scale = 1;  ///< alpha / r
  bool enabled = true;

  bool applies() const { return down.defined() && enabled; }
};

/** A layer with a place for a LoRA of its weight. That is computed in the type
 * of the layer's input, whatever its own, as PEFT's is under autocast: float32
 * LoRAs train on bfloat16 weights. It is not among the module's parameters: it
 * is owned by the LoraAdapter that attached it (models/lora.h). */
class Adaptable : public torch::nn::Module {
 public:
  torch::Tensor weight;  ///< [out,in] or [out,in,k,k]
  torch::Tensor bias;    ///< [out]; undefined without bias
  LowRank lora;

 protected:
  /** x [...,n] -> [...,out] by W as a matrix [out,n], bias and LoRA. */
  torch::Tensor map(const torch::Tensor& x) const;
};

}  // namespace rsm
