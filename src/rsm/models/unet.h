#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/layers/conv.h"
#include "rsm/layers/linear.h"
#include "rsm/models/network.h"
#include "rsm/models/unet_blocks.h"
#include "rsm/models/unet_config.h"

namespace rsm {

/** diffusers' UNet2DConditionModel as in Stable Diffusion 1.x, parameter names
 * included. Source: Rombach et al. 2022 (arXiv:2112.10752, section 3.3 and
 * appendix E); diffusers 0.42.1 for names and numbers. */
class UnetImpl : public NetworkModule {
 public:
  /** The weights are arbitrary until load_parameters(). */
  explicit UnetImpl(const UnetConfig& config);

  /** x [B,C,H,W], timestep [B] (0 to 1000, taken as float32), tokens [B,L,E]
   * with E = cross_attention_dim -> [B,out_channels,H,W] in the weights' type.
   * Throws rsm::Error for other shapes. */
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& timestep,
                        const torch::Tensor& tokens);

  /** t is taken for the nearest of 1000 timesteps. */
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override;
  Network fresh() const override;
  std::vector<int64_t> latent_shape() const override;
  std::vector<int64_t> latent_shape(int64_t height,
                                    int64_t width) const override;
  std::pair<int64_t, int64_t> condition_widths() const override {
    return {config_.cross_attention_dim, 0};
  }
  nlohmann::json config_json() const override;
  std::string part() const override { return "unet"; }

  const UnetConfig& config() const { return config_; }

 private:
  void check(const torch::Tensor& x, const torch::Tensor& timestep,
             const torch::Tensor& tokens) const;

  UnetConfig config_;
  Conv conv_in_{nullptr}, conv_out_{nullptr};
  Linear time_1_{nullptr}, time_2_{nullptr};
  torch::nn::ModuleList down_blocks_{nullptr}, up_blocks_{nullptr};
  UnetMidBlock mid_block_{nullptr};
  torch::nn::GroupNorm conv_norm_out_{nullptr};
};
TORCH_MODULE(Unet);

}  // namespace rsm
