#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/layers/conv.h"
#include "rsm/layers/linear.h"
#include "rsm/models/network.h"
#include "rsm/models/unet_config.h"

namespace rsm {

/** One number of (x, t, prompt): the way down of a UNet, once more halved,
 * averaged over pixels, and a linear layer. Source: the flow of DAG,
 * arXiv 2406.00633 and its release. */
class ScalarUnetImpl : public NetworkModule {
 public:
  /** Of the config's way down. The weights are arbitrary until they are set. */
  explicit ScalarUnetImpl(const UnetConfig& config);

  /** -> [B,1,1,1]; t is taken for the nearest of 1000 timesteps. */
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
  std::string part() const override { return "flow"; }

 private:
  UnetConfig config_;
  Conv conv_in_{nullptr}, down_{nullptr};
  Linear time_1_{nullptr}, time_2_{nullptr}, out_{nullptr};
  torch::nn::ModuleList down_blocks_{nullptr};
};
TORCH_MODULE(ScalarUnet);

/** The config of a way down for latents of `in` channels and tokens of `width`:
 * levels of these channels, multiples of 4, from the finest, each of `layers`
 * blocks; all but the last attend. */
UnetConfig scalar_unet_config(int64_t in, int64_t width,
                              const std::vector<int64_t>& channels,
                              int64_t layers);

}  // namespace rsm
