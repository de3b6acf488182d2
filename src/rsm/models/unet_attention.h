#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include "rsm/layers/conv.h"
#include "rsm/layers/linear.h"
#include "rsm/models/unet_config.h"

namespace rsm {

/** Attention of pixels to pixels or to a text (diffusers' Attention; q, k and
 * v without bias). */
class UnetAttentionImpl : public torch::nn::Module {
 public:
  /** `context_dim`: width of what is attended to. */
  UnetAttentionImpl(int64_t dim, int64_t context_dim, int64_t heads);
  /** x [B,L,dim], context [B,T,context_dim] -> [B,L,dim]. */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& context);

 private:
  torch::Tensor split(const torch::Tensor& x) const;

  int64_t heads_;
  Linear to_q_{nullptr}, to_k_{nullptr}, to_v_{nullptr}, to_out_{nullptr};
};
TORCH_MODULE(UnetAttention);

/** diffusers' FeedForward with activation_fn "geglu": one half of the first
 * layer's output times the GELU of the other (Shazeer 2020, arXiv:2002.05202).
 */
class GatedFeedForwardImpl : public torch::nn::Module {
 public:
  explicit GatedFeedForwardImpl(int64_t dim);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  Linear in_{nullptr}, out_{nullptr};
};
TORCH_MODULE(GatedFeedForward);

/** diffusers' BasicTransformerBlock: attention to pixels, to the text, and a
 * feed-forward, each of the normed state and added to it. */
class UnetTransformerBlockImpl : public torch::nn::Module {
 public:
  UnetTransformerBlockImpl(int64_t dim, int64_t context_dim, int64_t heads);
  /** x [B,L,dim], tokens [B,T,context_dim] -> [B,L,dim]. */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& tokens);

 private:
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr}, norm3_{nullptr};
  UnetAttention attn1_{nullptr}, attn2_{nullptr};
  GatedFeedForward ff_{nullptr};
};
TORCH_MODULE(UnetTransformerBlock);

/** diffusers' Transformer2DModel between 1x1 convolutions, added to its input.
 */
class UnetTransformerImpl : public torch::nn::Module {
 public:
  UnetTransformerImpl(const UnetConfig& config, int64_t channels,
                      int64_t heads);
  /** x [B,channels,H,W], tokens [B,T,cross_attention_dim] -> as x. */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& tokens);

 private:
  torch::nn::GroupNorm norm_{nullptr};
  Conv proj_in_{nullptr}, proj_out_{nullptr};
  torch::nn::ModuleList blocks_{nullptr};
};
TORCH_MODULE(UnetTransformer);

}  // namespace rsm
