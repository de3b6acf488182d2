#include "rsm/models/unet_blocks.h"

#include <algorithm>
#include <memory>
#include <string>

#include "rsm/layers/activation_checkpointing.h"
#include "rsm/models/unet_attention.h"

namespace rsm {
namespace {

using torch::nn::ModuleList;

/** One layer of a block: residual block, and transformer where there is one.
 * `skip`, where defined, joins x in the channels. */
torch::Tensor layer(const ModuleList& resnets, const ModuleList& attentions,
                    size_t i, const torch::Tensor& x,
                    const UnetCondition& condition,
                    const torch::Tensor& skip = {}) {
  auto* resnet = resnets->ptr(i)->as<UnetResnet>();
  auto* attention = attentions.is_empty()
                        ? nullptr
                        : attentions->ptr(i)->as<UnetTransformer>();
  const bool joins = skip.defined();
  const auto work = [=](const Tensors& in) -> Tensors {
    // Of x's two gradients the sum's comes first, as in a plain backward.
    const auto all = joins ? at::cat({in[0], in[1]}, 1) : in[1];
    const auto y = resnet->forward(all, joins ? all : in[0], in[2]);
    return {attention == nullptr ? y : attention->forward(y, in[3])};
  };
  const Tensors in = {x, joins ? skip : x, resnet->shift(condition.time),
                      condition.tokens};
  if (!condition.checkpointed) return work(in)[0];
  std::vector<const torch::nn::Module*> modules = {resnet};
  if (attention != nullptr) modules.push_back(attention);
  return checkpointed(work, in, modules)[0];
}

/** `conv` under the names <list>.0.conv. */
void register_sampler(torch::nn::Module& block, const std::string& list,
                      const Conv& conv) {
  auto sampler = std::make_shared<torch::nn::Module>();
  sampler->register_module("conv", conv);
  auto samplers = ModuleList();
  samplers->push_back(sampler);
  block.register_module(list, samplers);
}

}  // namespace

torch::nn::GroupNorm unet_norm(const UnetConfig& config, int64_t channels) {
  return torch::nn::GroupNorm(
      torch::nn::GroupNormOptions(config.norm_num_groups, channels)
          .eps(config.norm_eps));
}

UnetResnetImpl::UnetResnetImpl(const UnetConfig& config, int64_t in,
                               int64_t out, double scale)
    : scale_(scale) {
  norm1_ = register_module("norm1", unet_norm(config, in));
  conv1_ = register_module("conv1", Conv(in, out, 3, 1, 1));
  time_emb_proj_ =
      register_module("time_emb_proj", Linear(config.time_dim(), out));
  norm2_ = register_module("norm2", unet_norm(config, out));
  conv2_ = register_module("conv2", Conv(out, out, 3, 1, 1));
  if (in != out) {
    conv_shortcut_ = register_module("conv_shortcut", Conv(in, out, 1));
  }
}

torch::Tensor UnetResnetImpl::shift(const torch::Tensor& time) {
  return time_emb_proj_(time).unsqueeze(2).unsqueeze(3);
}

torch::Tensor UnetResnetImpl::forward(const torch::Tensor& x,
                                      const torch::Tensor& same,
                                      const torch::Tensor& shift) {
  auto y = conv1_(at::silu(norm1_(x)));
  y = y + shift;
  y = conv2_(at::silu(norm2_(y)));
  y = (conv_shortcut_.is_empty() ? same : conv_shortcut_(same)) + y;
  return scale_ == 1 ? y : y / scale_;
}

UnetDownBlockImpl::UnetDownBlockImpl(const UnetConfig& config, int64_t level)
    : pad_far_ends_(config.downsample_padding == 0) {
  const auto& channels = config.block_out_channels;
  const int64_t out = channels[level];
  resnets_ = register_module("resnets", ModuleList());
  if (config.down_attention[level]) {
    attentions_ = register_module("attentions", ModuleList());
  }
  for (int64_t i = 0; i < config.layers_per_block; ++i) {
    const int64_t in = i > 0 ? out : channels[std::max<int64_t>(level - 1, 0)];
    resnets_->push_back(UnetResnet(config, in, out));
    if (attentions_.is_empty()) continue;
    attentions_->push_back(UnetTransformer(config, out, config.heads[level]));
  }
  if (level + 1 < config.levels()) {
    down_ = Conv(out, out, 3, 2, config.downsample_padding);
    register_sampler(*this, "downsamplers", down_);
  }
}

torch::Tensor UnetDownBlockImpl::forward(torch::Tensor x,
                                         const UnetCondition& condition,
                                         UnetSkips& skips) {
  for (size_t i = 0; i < resnets_->size(); ++i) {
    x = layer(resnets_, attentions_, i, x, condition);
    skips.push_back(x);
  }
  if (!down_.is_empty()) {
    x = down_(pad_far_ends_ ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x);
    skips.push_back(x);
  }
  return x;
}

UnetMidBlockImpl::UnetMidBlockImpl(const UnetConfig& config) {
  const int64_t channels = config.block_out_channels.back();
  const double scale = config.mid_block_scale_factor;
  attentions_ = register_module("attentions", ModuleList());
  attentions_->push_back(
      UnetTransformer(config, channels, config.heads.back()));
  resnets_ = register_module("resnets", ModuleList());
  resnets_->push_back(UnetResnet(config, channels, channels, scale));
  resnets_->push_back(UnetResnet(config, channels, channels, scale));
}

torch::Tensor UnetMidBlockImpl::forward(torch::Tensor x,
                                        const UnetCondition& condition) {
  x = layer(resnets_, attentions_, 0, x, condition);
  return layer(resnets_, ModuleList(nullptr), 1, x, condition);
}

UnetUpBlockImpl::UnetUpBlockImpl(const UnetConfig& config, int64_t index) {
  const auto& channels = config.block_out_channels;
  const int64_t level = config.levels() - 1 - index;
  const int64_t out = channels[level];
  const int64_t below = channels[std::min(level + 1, config.levels() - 1)];
  const int64_t above = channels[std::max<int64_t>(level - 1, 0)];
  resnets_ = register_module("resnets", ModuleList());
  if (config.up_attention[index]) {
    attentions_ = register_module("attentions", ModuleList());
  }
  for (int64_t i = 0; i <= config.layers_per_block; ++i) {
    // The last skip of a level is what entered it on the way down.
    const int64_t in =
        (i == 0 ? below : out) + (i == config.layers_per_block ? above : out);
    resnets_->push_back(UnetResnet(config, in, out));
    if (attentions_.is_empty()) continue;
    attentions_->push_back(UnetTransformer(config, out, config.heads[level]));
  }
  if (level > 0) {
    up_ = Conv(out, out, 3, 1, 1);
    register_sampler(*this, "upsamplers", up_);
  }
}

torch::Tensor UnetUpBlockImpl::forward(torch::Tensor x,
                                       const UnetCondition& condition,
                                       UnetSkips& skips) {
  for (size_t i = 0; i < resnets_->size(); ++i) {
    x = layer(resnets_, attentions_, i, x, condition, skips.back());
    skips.pop_back();
  }
  if (!up_.is_empty()) {
    x = up_(at::upsample_nearest2d(x, skips.back().sizes().slice(2)));
  }
  return x;
}

}  // namespace rsm
