#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <vector>

#include "rsm/layers/conv.h"
#include "rsm/layers/linear.h"
#include "rsm/models/unet_config.h"

namespace rsm {

/** What all blocks of a UNet are given. */
struct UnetCondition {
  torch::Tensor time;    ///< [B,time_dim]: silu of the time embedding
  torch::Tensor tokens;  ///< [B,T,cross_attention_dim]
  bool checkpointed;     ///< see layers/activation_checkpointing.h
};

/** States [B,C,H,W] of the way down that the way up takes back, last first. */
using UnetSkips = std::vector<torch::Tensor>;

torch::nn::GroupNorm unet_norm(const UnetConfig& config, int64_t channels);

/** diffusers' ResnetBlock2D: two normed convolutions with the time between
 * them, added to the input, the sum divided by `scale`. */
class UnetResnetImpl : public torch::nn::Module {
 public:
  UnetResnetImpl(const UnetConfig& config, int64_t in, int64_t out,
                 double scale = 1);
  /** time [B,time_dim] -> what it adds to each channel, [B,out,1,1]. */
  torch::Tensor shift(const torch::Tensor& time);
  /** x [B,in,H,W] -> [B,out,H,W]. `same` is x once more, for the sum. Gradients
   * of x and of the time are then added up in one order, checkpointed or not.
   */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& same,
                        const torch::Tensor& shift);

 private:
  double scale_;
  torch::nn::GroupNorm norm1_{nullptr}, norm2_{nullptr};
  Conv conv1_{nullptr}, conv2_{nullptr}, conv_shortcut_{nullptr};
  Linear time_emb_proj_{nullptr};
};
TORCH_MODULE(UnetResnet);

/** Residual blocks, each followed by a transformer where the level attends,
 * and, but at the last level, a convolution of stride 2. */
class UnetDownBlockImpl : public torch::nn::Module {
 public:
  /** `level` 0 is the finest. */
  UnetDownBlockImpl(const UnetConfig& config, int64_t level);
  /** Every state on the way is appended to `skips`. */
  torch::Tensor forward(torch::Tensor x, const UnetCondition& condition,
                        UnetSkips& skips);

 private:
  bool pad_far_ends_;
  torch::nn::ModuleList resnets_{nullptr}, attentions_{nullptr};
  Conv down_{nullptr};
};
TORCH_MODULE(UnetDownBlock);

/** diffusers' UNetMidBlock2DCrossAttn: residual block, transformer, residual
 * block. */
class UnetMidBlockImpl : public torch::nn::Module {
 public:
  explicit UnetMidBlockImpl(const UnetConfig& config);
  torch::Tensor forward(torch::Tensor x, const UnetCondition& condition);

 private:
  torch::nn::ModuleList resnets_{nullptr}, attentions_{nullptr};
};
TORCH_MODULE(UnetMidBlock);

/** As the way down with one layer more, each taking back a skip; then, but at
 * the finest level, the nearest pixels' values at the size of the next skip,
 * and a convolution. */
class UnetUpBlockImpl : public torch::nn::Module {
 public:
  /** Block `index` of the way up; 0 is the coarsest level. */
  UnetUpBlockImpl(const UnetConfig& config, int64_t index);
  torch::Tensor forward(torch::Tensor x, const UnetCondition& condition,
                        UnetSkips& skips);

 private:
  torch::nn::ModuleList resnets_{nullptr}, attentions_{nullptr};
  Conv up_{nullptr};
};
TORCH_MODULE(UnetUpBlock);

}  // namespace rsm
