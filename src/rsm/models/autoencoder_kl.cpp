#include "rsm/models/autoencoder_kl.h"

#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/layers/linear.h"
#include "rsm/models/tiling.h"

namespace rsm {
namespace {

using torch::nn::GroupNorm;
using torch::nn::ModuleList;

constexpr double kVaeNormEps = 1e-6;

GroupNorm norm_of(const AutoencoderKlConfig& config, int64_t channels) {
  return GroupNorm(torch::nn::GroupNormOptions(config.norm_num_groups, channels)
                       .eps(kVaeNormEps));
}

/** diffusers' ResnetBlock2D without a time. */
class ResnetImpl : public torch::nn::Module {
 public:
  ResnetImpl(const AutoencoderKlConfig& config, int64_t in, int64_t out) {
    norm1_ = register_module("norm1", norm_of(config, in));
    conv1_ = register_module("conv1", Conv(in, out, 3, 1, 1));
    norm2_ = register_module("norm2", norm_of(config, out));
    conv2_ = register_module("conv2", Conv(out, out, 3, 1, 1));
    if (in != out) {
      conv_shortcut_ = register_module("conv_shortcut", Conv(in, out, 1));
    }
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = conv2_(at::silu(norm2_(conv1_(at::silu(norm1_(x))))));
    return (conv_shortcut_.is_empty() ? x : conv_shortcut_(x)) + y;
  }

 private:
  GroupNorm norm1_{nullptr}, norm2_{nullptr};
  Conv conv1_{nullptr}, conv2_{nullptr}, conv_shortcut_{nullptr};
};
TORCH_MODULE(Resnet);

/** Attention of pixels to pixels in one head, added to its input. */
class PixelAttentionImpl : public torch::nn::Module {
 public:
  PixelAttentionImpl(const AutoencoderKlConfig& config, int64_t channels) {
    group_norm_ = register_module("group_norm", norm_of(config, channels));
    to_q_ = register_module("to_q", Linear(channels, channels));
    to_k_ = register_module("to_k", Linear(channels, channels));
    to_v_ = register_module("to_v", Linear(channels, channels));
    auto out = register_module("to_out", ModuleList());
    out->push_back(to_out_ = Linear(channels, channels));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto pixels = group_norm_(x).flatten(2).transpose(1, 2).unsqueeze(1);
    const auto y = at::scaled_dot_product_attention(
        to_q_(pixels), to_k_(pixels), to_v_(pixels));
    return x + to_out_(y).squeeze(1).transpose(1, 2).unflatten(
                   2, {x.size(2), x.size(3)});
  }

 private:
  GroupNorm group_norm_{nullptr};
  Linear to_q_{nullptr}, to_k_{nullptr}, to_v_{nullptr}, to_out_{nullptr};
};
TORCH_MODULE(PixelAttention);

class MiddleImpl : public torch::nn::Module {
 public:
  explicit MiddleImpl(const AutoencoderKlConfig& config) {
    const int64_t channels = config.block_out_channels.back();
    if (config.mid_block_add_attention) {
      auto attentions = register_module("attentions", ModuleList());
      attentions->push_back(attention_ = PixelAttention(config, channels));
    }
    auto resnets = register_module("resnets", ModuleList());
    resnets->push_back(first_ = Resnet(config, channels, channels));
    resnets->push_back(second_ = Resnet(config, channels, channels));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = first_(x);
    return second_(attention_.is_empty() ? y : attention_(y));
  }

 private:
  PixelAttention attention_{nullptr};
  Resnet first_{nullptr}, second_{nullptr};
};
TORCH_MODULE(Middle);

/** What comes after a level's residual blocks. */
enum class Change { none, halves, doubles };

class LevelImpl : public torch::nn::Module {
 public:
  LevelImpl(const AutoencoderKlConfig& config, int64_t in, int64_t out,
            int64_t layers, Change change)
      : change_(change) {
    resnets_ = register_module("resnets", ModuleList());
    for (int64_t i = 0; i < layers; ++i) {
      resnets_->push_back(Resnet(config, i == 0 ? in : out, out));
    }
    if (change == Change::none) return;
    const bool halves = change == Change::halves;
    conv_ = halves ? Conv(out, out, 3, 2, 0) : Conv(out, out, 3, 1, 1);
    auto sampler = std::make_shared<torch::nn::Module>();
    sampler->register_module("conv", conv_);
    register_module(halves ? "downsamplers" : "upsamplers", ModuleList())
        ->push_back(sampler);
  }
  torch::Tensor forward(torch::Tensor x) {
    for (const auto& resnet : *resnets_) {
      x = resnet->as<Resnet>()->forward(x);
    }
    if (change_ == Change::none) return x;
    return conv_(
        change_ == Change::halves
            ? at::constant_pad_nd(x, {0, 1, 0, 1})
            : at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}));
  }

 private:
  Change change_;
  ModuleList resnets_{nullptr};
  Conv conv_{nullptr};
};
TORCH_MODULE(Level);

/** Levels of these channels, one after the other. */
ModuleList levels_of(const AutoencoderKlConfig& config,
                     const std::vector<int64_t>& channels, int64_t layers,
                     Change change) {
  ModuleList levels;
  for (size_t i = 0; i < channels.size(); ++i) {
    const bool last = i + 1 == channels.size();
    levels->push_back(Level(config, channels[i == 0 ? 0 : i - 1], channels[i],
                            layers, last ? Change::none : change));
  }
  return levels;
}

torch::Tensor through(const ModuleList& levels, torch::Tensor x) {
  for (const auto& level : *levels) {
    x = level->as<Level>()->forward(x);
  }
  return x;
}

}  // namespace

class KlEncoderImpl : public torch::nn::Module {
 public:
  explicit KlEncoderImpl(const AutoencoderKlConfig& config) {
    const auto& channels = config.block_out_channels;
    conv_in_ = register_module(
        "conv_in", Conv(config.in_channels, channels.front(), 3, 1, 1));
    down_blocks_ = register_module(
        "down_blocks",
        levels_of(config, channels, config.layers_per_block, Change::halves));
    mid_block_ = register_module("mid_block", Middle(config));
    conv_norm_out_ =
        register_module("conv_norm_out", norm_of(config, channels.back()));
    conv_out_ = register_module(
        "conv_out", Conv(channels.back(), 2 * config.latent_channels, 3, 1, 1));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = mid_block_(through(down_blocks_, conv_in_(x)));
    return conv_out_(at::silu(conv_norm_out_(y)));
  }

 private:
  Conv conv_in_{nullptr}, conv_out_{nullptr};
  ModuleList down_blocks_{nullptr};
  Middle mid_block_{nullptr};
  GroupNorm conv_norm_out_{nullptr};
};

class KlDecoderImpl : public torch::nn::Module {
 public:
  explicit KlDecoderImpl(const AutoencoderKlConfig& config) {
    auto channels = config.block_out_channels;
    std::reverse(channels.begin(), channels.end());
    conv_in_ = register_module(
        "conv_in", Conv(config.latent_channels, channels.front(), 3, 1, 1));
    up_blocks_ = register_module(
        "up_blocks", levels_of(config, channels, config.layers_per_block + 1,
                               Change::doubles));
    mid_block_ = register_module("mid_block", Middle(config));
    conv_norm_out_ =
        register_module("conv_norm_out", norm_of(config, channels.back()));
    conv_out_ = register_module(
        "conv_out", Conv(channels.back(), config.out_channels, 3, 1, 1));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = through(up_blocks_, mid_block_(conv_in_(x)));
    return conv_out_(at::silu(conv_norm_out_(y)));
  }

 private:
  Conv conv_in_{nullptr}, conv_out_{nullptr};
  ModuleList up_blocks_{nullptr};
  Middle mid_block_{nullptr};
  GroupNorm conv_norm_out_{nullptr};
};

AutoencoderKlImpl::AutoencoderKlImpl(const AutoencoderKlConfig& config,
                                     Ways ways)
    : config_(config) {
  const int64_t latents = config.latent_channels;
  if (ways == Ways::both) {
    encoder_ =
        register_module("encoder", std::make_shared<KlEncoderImpl>(config));
  }
  decoder_ =
      register_module("decoder", std::make_shared<KlDecoderImpl>(config));
  if (ways == Ways::both && config.use_quant_conv) {
    quant_conv_ =
        register_module("quant_conv", Conv(2 * latents, 2 * latents, 1));
  }
  if (config.use_post_quant_conv) {
    post_quant_conv_ =
        register_module("post_quant_conv", Conv(latents, latents, 1));
  }
}

torch::Tensor AutoencoderKlImpl::moments(const torch::Tensor& pictures) {
  check_pictures(pictures, encoder_ != nullptr);
  const auto out = encoder_->forward(pictures);
  return quant_conv_.is_empty() ? out : quant_conv_(out);
}

torch::Tensor AutoencoderKlImpl::encode(const torch::Tensor& pictures) {
  return moments(pictures).narrow(1, 0, config_.latent_channels);
}

torch::Tensor AutoencoderKlImpl::decode(const torch::Tensor& latents) {
  check_latents(latents);
  return decoder_->forward(
      post_quant_conv_.is_empty() ? latents : post_quant_conv_(latents));
}

torch::Tensor AutoencoderKlImpl::decode_tiled(const torch::Tensor& latents) {
  check_latents(latents);
  const int64_t scale = space().scale;
  RSM_CHECK(config_.sample_size % (4 * scale) == 0,
            "[AutoencoderKl] sample_size is ", config_.sample_size,
            "; tiles need a multiple of ", 4 * scale, ": decode without tiles");
  // diffusers: tile_sample_min_size, tile_overlap_factor 0.25.
  const Tiling tiling = {config_.sample_size / scale,
                         config_.sample_size / scale / 4, scale};
  return blend_rows(latents, tiling,
                    [&](const torch::Tensor& tile) { return decode(tile); });
}

std::shared_ptr<AutoencoderModule> AutoencoderKlImpl::fresh(Ways ways) const {
  return std::make_shared<AutoencoderKlImpl>(config_, ways);
}

nlohmann::json AutoencoderKlImpl::config_json() const {
  return config_.to_json();
}

StateDict autoencoder_kl_names(const StateDict& weights) {
  static constexpr std::array<std::pair<const char*, const char*>, 4> kOld = {
      {{"query", "to_q"},
       {"key", "to_k"},
       {"value", "to_v"},
       {"proj_attn", "to_out.0"}}};
  const std::string block = ".mid_block.attentions.0.";
  StateDict out;
  for (const auto& [name, tensor] : weights) {
    std::string own = name;
    const size_t end = name.find(block);
    for (const auto& [old, now] : kOld) {
      const std::string layer = cat(block, old, ".");
      if (end == std::string::npos || name.find(layer) != end) continue;
      own.replace(end, layer.size(), cat(block, now, "."));
    }
    const bool flat = own != name && tensor.dim() == 4 && tensor.size(2) == 1 &&
                      tensor.size(3) == 1;
    out[own] = flat ? tensor.flatten(1) : tensor;
  }
  return out;
}

}  // namespace rsm
