#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/layers/activation_checkpointing.h"
#include "rsm/layers/conv.h"
#include "rsm/layers/linear.h"
#include "rsm/models/network.h"
#include "rsm/models/sd3_config.h"

namespace rsm {

/** Root mean square norm with a learned gain (diffusers' RMSNorm). */
class RmsNormImpl : public torch::nn::Module {
 public:
  explicit RmsNormImpl(int64_t dim);
  torch::Tensor forward(const torch::Tensor& x);
  torch::Tensor weight;
};
TORCH_MODULE(RmsNorm);

/** The one linear layer of an adaptive norm. */
class AdaNormImpl : public torch::nn::Module {
 public:
  AdaNormImpl(int64_t dim, int64_t parts);
  /** activated [B,D] = silu(temb) -> [B,1,parts*D], to be cut in parts. */
  torch::Tensor forward(const torch::Tensor& activated);
  Linear linear{nullptr};
};
TORCH_MODULE(AdaNorm);

/** Two linear layers with an activation between (diffusers' names linear_1,
 * linear_2; activation silu). */
class TwoLayerImpl : public torch::nn::Module {
 public:
  TwoLayerImpl(int64_t in, int64_t out);
  torch::Tensor forward(const torch::Tensor& x);
  Linear linear_1{nullptr}, linear_2{nullptr};
};
TORCH_MODULE(TwoLayer);

/** diffusers' FeedForward with activation_fn "gelu-approximate". */
class FeedForwardImpl : public torch::nn::Module {
 public:
  explicit FeedForwardImpl(int64_t dim);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  Linear in_{nullptr}, out_{nullptr};
};
TORCH_MODULE(FeedForward);

/** Attention over image tokens, or over image and text tokens together. */
class JointAttentionImpl : public torch::nn::Module {
 public:
  enum class Text { none, keys_only, both };
  /** `keys_only`: text takes part but has no output (the last block). */
  JointAttentionImpl(const Sd3Config& config, Text text);
  /** image [B,L,D], text [B,T,D] or undefined -> the same two; the second is
   * undefined unless the module was made with Text::both. */
  std::pair<torch::Tensor, torch::Tensor> forward(const torch::Tensor& image,
                                                  const torch::Tensor& text);

 private:
  torch::Tensor heads(const torch::Tensor& x, RmsNorm& norm) const;

  int64_t heads_, head_dim_;
  Text text_;
  Linear to_q_{nullptr}, to_k_{nullptr}, to_v_{nullptr}, to_out_{nullptr};
  Linear add_q_{nullptr}, add_k_{nullptr}, add_v_{nullptr}, add_out_{nullptr};
  RmsNorm norm_q_{nullptr}, norm_k_{nullptr};
  RmsNorm norm_added_q_{nullptr}, norm_added_k_{nullptr};
};
TORCH_MODULE(JointAttention);

/** One MMDiT block (Esser et al. 2024, arXiv:2403.03206, figure 2). */
class JointBlockImpl : public torch::nn::Module {
 public:
  JointBlockImpl(const Sd3Config& config, bool dual, bool last);
  /** Updates image [B,L,D] and text [B,T,D] (undefined after the last).
   * `checkpointed`: see layers/activation_checkpointing.h. */
  void forward(torch::Tensor& image, torch::Tensor& text,
               const torch::Tensor& activated, bool checkpointed);

 private:
  /** {image, text, modulation of each} -> {image, text}; the last: {image}. */
  Tensors mix(const Tensors& in);

  bool dual_, last_;
  AdaNorm norm1_{nullptr}, norm1_context_{nullptr};
  JointAttention attn_{nullptr}, attn2_{nullptr};
  FeedForward ff_{nullptr}, ff_context_{nullptr};
};
TORCH_MODULE(JointBlock);

/** diffusers' SD3Transformer2DModel, parameter names included. */
class Sd3TransformerImpl : public NetworkModule {
 public:
  /** The weights are arbitrary until load_parameters(). */
  explicit Sd3TransformerImpl(const Sd3Config& config);

  /** x [B,C,H,W], timestep [B] = 1000 t float32, tokens [B,T,joint_dim],
   * pooled [B,pooled_dim] -> velocity [B,C,H,W] in the weights' type. */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& timestep,
                        const torch::Tensor& tokens,
                        const torch::Tensor& pooled);

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override;
  Network fresh() const override;
  std::vector<int64_t> latent_shape() const override;
  std::vector<int64_t> latent_shape(int64_t height,
                                    int64_t width) const override;
  std::pair<int64_t, int64_t> condition_widths() const override {
    return {config_.joint_attention_dim, config_.pooled_projection_dim};
  }
  nlohmann::json config_json() const override { return config_.to_json(); }
  std::string part() const override { return "transformer"; }

  const Sd3Config& config() const { return config_; }

 private:
  torch::Tensor embed_patches(const torch::Tensor& x) const;
  torch::Tensor unpatchify(const torch::Tensor& tokens, int64_t height,
                           int64_t width) const;

  Sd3Config config_;
  Conv patch_{nullptr};
  torch::Tensor position_;
  TwoLayer timestep_embedder_{nullptr}, text_embedder_{nullptr};
  Linear context_embedder_{nullptr}, proj_out_{nullptr};
  torch::nn::ModuleList blocks_{nullptr};
  AdaNorm norm_out_{nullptr};
};
TORCH_MODULE(Sd3Transformer);

}  // namespace rsm
