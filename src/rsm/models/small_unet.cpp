#include "rsm/models/small_unet.h"

#include <algorithm>
#include <numeric>

#include "rsm/models/unet.h"

namespace rsm {
namespace {

class SmallUnet : public UnetImpl {
 public:
  using UnetImpl::UnetImpl;
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override {
    constexpr double kTimesteps = 1000;
    return forward(x, t * kTimesteps, condition.tokens);
  }
  Network fresh() const override {
    return std::make_shared<SmallUnet>(config());
  }
};

}  // namespace

Network small_unet(const UnetConfig& config) {
  return std::make_shared<SmallUnet>(config);
}

UnetConfig small_unet_config(const std::vector<int64_t>& channels,
                             int64_t latent_channels, int64_t text_width) {
  constexpr int64_t kMostGroups = 32, kMostHeads = 8, kLeastWidth = 8;
  UnetConfig config;
  config.in_channels = config.out_channels = latent_channels;
  config.block_out_channels = channels;
  config.down_attention.assign(channels.size(), true);
  config.down_attention.back() = false;
  config.up_attention.assign(channels.size(), true);
  config.up_attention.front() = false;
  config.layers_per_block = 1;
  config.norm_num_groups =
      std::accumulate(channels.begin(), channels.end(), kMostGroups,
                      [](int64_t a, int64_t b) { return std::gcd(a, b); });
  config.cross_attention_dim = text_width;
  config.heads.clear();
  for (const int64_t c : channels) {
    config.heads.push_back(std::clamp<int64_t>(c / kLeastWidth, 1, kMostHeads));
  }
  return config;
}

}  // namespace rsm
