#include "rsm/models/unet.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/models/unet_time.h"

namespace rsm {

UnetImpl::UnetImpl(const UnetConfig& config) : config_(config) {
  const int64_t first = config.block_out_channels.front();
  conv_in_ =
      register_module("conv_in", Conv(config.in_channels, first, 3, 1, 1));
  auto time = std::make_shared<torch::nn::Module>();
  time_1_ = time->register_module("linear_1", Linear(first, config.time_dim()));
  time_2_ = time->register_module("linear_2",
                                  Linear(config.time_dim(), config.time_dim()));
  register_module("time_embedding", time);
  down_blocks_ = register_module("down_blocks", torch::nn::ModuleList());
  up_blocks_ = register_module("up_blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.levels(); ++i) {
    down_blocks_->push_back(UnetDownBlock(config, i));
    up_blocks_->push_back(UnetUpBlock(config, i));
  }
  mid_block_ = register_module("mid_block", UnetMidBlock(config));
  conv_norm_out_ = register_module("conv_norm_out", unet_norm(config, first));
  conv_out_ =
      register_module("conv_out", Conv(first, config.out_channels, 3, 1, 1));
}

void UnetImpl::check(const torch::Tensor& x, const torch::Tensor& timestep,
                     const torch::Tensor& tokens) const {
  RSM_CHECK(x.dim() == 4 && x.size(1) == config_.in_channels,
            "[Unet] latents of shape ", x.sizes(), " arrived; [B,",
            config_.in_channels, ",H,W] is needed");
  RSM_CHECK(timestep.dim() == 1 && timestep.size(0) == x.size(0),
            "[Unet] timesteps of shape ", timestep.sizes(),
            " arrived; one for each of ", x.size(0), " latents is needed");
  RSM_CHECK(tokens.dim() == 3 && tokens.size(0) == x.size(0) &&
                tokens.size(2) == config_.cross_attention_dim,
            "[Unet] tokens of shape ", tokens.sizes(), " arrived; [", x.size(0),
            ",L,", config_.cross_attention_dim,
            "] is needed (cross_attention_dim)");
}

torch::Tensor UnetImpl::predict(const torch::Tensor& x, const torch::Tensor& t,
                                const Condition& condition) {
  return forward(x, unet_timestep(t), condition.tokens);
}

Network UnetImpl::fresh() const { return std::make_shared<UnetImpl>(config_); }

std::vector<int64_t> UnetImpl::latent_shape() const {
  RSM_CHECK(config_.sample_size.has_value(),
            "[Unet] config.json has no sample_size, the side of the latents; "
            "it is needed to sample, or sampling.size");
  return {config_.in_channels, *config_.sample_size, *config_.sample_size};
}

std::vector<int64_t> UnetImpl::latent_shape(int64_t height,
                                            int64_t width) const {
  return {config_.in_channels, height, width};
}

nlohmann::json UnetImpl::config_json() const { return config_.to_json(); }

torch::Tensor UnetImpl::forward(const torch::Tensor& x,
                                const torch::Tensor& timestep,
                                const torch::Tensor& tokens) {
  check(x, timestep, tokens);
  const auto type = conv_in_->weight.scalar_type();
  const auto embedded =
      at::silu(time_1_(unet_time_features(timestep, config_).to(type)));
  const UnetCondition condition = {at::silu(time_2_(embedded)), tokens.to(type),
                                   activation_checkpointing()};
  auto state = x.to(type);
  if (config_.center_input_sample) {
    state = 2 * state - 1;
  }
  state = conv_in_(state);
  UnetSkips skips = {state};
  for (const auto& block : *down_blocks_) {
    state = block->as<UnetDownBlock>()->forward(state, condition, skips);
  }
  state = mid_block_(state, condition);
  for (const auto& block : *up_blocks_) {
    state = block->as<UnetUpBlock>()->forward(state, condition, skips);
  }
  return conv_out_(at::silu(conv_norm_out_(state)));
}

}  // namespace rsm
