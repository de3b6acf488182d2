#include "rsm/models/scalar_unet.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "rsm/base/error.h"
#include "rsm/models/unet_blocks.h"
#include "rsm/models/unet_time.h"

namespace rsm {

ScalarUnetImpl::ScalarUnetImpl(const UnetConfig& config) : config_(config) {
  const int64_t first = config.block_out_channels.front();
  const int64_t last = config.block_out_channels.back();
  conv_in_ =
      register_module("conv_in", Conv(config.in_channels, first, 3, 1, 1));
  time_1_ = register_module("time_1", Linear(first, config.time_dim()));
  time_2_ =
      register_module("time_2", Linear(config.time_dim(), config.time_dim()));
  down_blocks_ = register_module("down_blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.levels(); ++i) {
    down_blocks_->push_back(UnetDownBlock(config, i));
  }
  down_ = register_module("down",
                          Conv(last, last, 3, 2, config.downsample_padding));
  out_ = register_module("out", Linear(last, 1));
}

torch::Tensor ScalarUnetImpl::predict(const torch::Tensor& x,
                                      const torch::Tensor& t,
                                      const Condition& condition) {
  const auto& tokens = condition.tokens;
  RSM_CHECK(x.dim() == 4 && x.size(1) == config_.in_channels &&
                tokens.dim() == 3 && tokens.size(0) == x.size(0) &&
                tokens.size(2) == config_.cross_attention_dim,
            "[ScalarUnet] latents ", x.sizes(), " and tokens ", tokens.sizes(),
            " arrived; [B,", config_.in_channels, ",H,W] and [B,L,",
            config_.cross_attention_dim, "] are needed");
  const auto type = conv_in_->weight.scalar_type();
  const auto features = unet_time_features(unet_timestep(t), config_).to(type);
  const UnetCondition shared = {at::silu(time_2_(at::silu(time_1_(features)))),
                                tokens.to(type), activation_checkpointing()};
  auto state = conv_in_(x.to(type));
  UnetSkips skips;  // no way up takes them
  for (const auto& block : *down_blocks_) {
    state = block->as<UnetDownBlock>()->forward(state, shared, skips);
    skips.clear();
  }
  return out_(down_(state).mean({2, 3})).view({-1, 1, 1, 1});
}

Network ScalarUnetImpl::fresh() const {
  return std::make_shared<ScalarUnetImpl>(config_);
}

std::vector<int64_t> ScalarUnetImpl::latent_shape() const {
  throw Error(
      "[ScalarUnet] it has no size of its own; latents of any are "
      "taken");
}

std::vector<int64_t> ScalarUnetImpl::latent_shape(int64_t height,
                                                  int64_t width) const {
  return {config_.in_channels, height, width};
}

nlohmann::json ScalarUnetImpl::config_json() const { return config_.to_json(); }

UnetConfig scalar_unet_config(int64_t in, int64_t width,
                              const std::vector<int64_t>& channels,
                              int64_t layers) {
  constexpr int64_t kMostGroups = 32, kMostHeads = 8;
  constexpr int64_t kLeastOfGroup = 4, kLeastOfHead = 8;
  UnetConfig config;
  config.in_channels = in;
  config.cross_attention_dim = width;
  config.block_out_channels = channels;
  config.layers_per_block = layers;
  config.down_attention.assign(channels.size(), true);
  config.down_attention.back() = false;
  config.norm_num_groups = kMostGroups;
  config.heads.clear();
  for (const int64_t count : channels) {
    config.norm_num_groups =
        std::gcd(config.norm_num_groups, count / kLeastOfGroup);
    config.heads.push_back(
        std::max<int64_t>(1, std::gcd(kMostHeads, count / kLeastOfHead)));
  }
  return config;
}

}  // namespace rsm
