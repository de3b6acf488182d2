#include "rsm/models/sd3_transformer.h"

#include <torch/nn/functional/activation.h>
#include <torch/nn/modules/dropout.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr double kNormEps = 1e-6;
constexpr int64_t kTimeChannels = 256;  // diffusers' Timesteps(256)

/** An empty module that only gives its children a prefix. */
class ScopeImpl : public torch::nn::Module {};
TORCH_MODULE(Scope);

torch::Tensor layer_norm(const torch::Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, kNormEps);
}

torch::Tensor modulate(const torch::Tensor& x, const torch::Tensor& shift,
                       const torch::Tensor& scale) {
  return at::addcmul(shift, x, scale + 1);
}

/** timestep [B] -> [B,256]: cosines first (flip_sin_to_cos, no shift). */
torch::Tensor time_features(const torch::Tensor& timestep) {
  const int64_t half = kTimeChannels / 2;
  const auto index = at::arange(half, timestep.options().dtype(at::kFloat));
  const auto frequency = at::exp(index * (-std::log(kMaxPeriod) / half));
  const auto angle = timestep.to(at::kFloat).unsqueeze(1) * frequency;
  return at::cat({at::cos(angle), at::sin(angle)}, 1);
}

/** Fixed 2-D sine-cosine positions [1,grid*grid,dim], width first. */
torch::Tensor sincos_positions(int64_t dim, int64_t grid, int64_t base) {
  RSM_CHECK(dim % 4 == 0, "[Sd3Transformer] width ", dim,
            " arrived; positions need a multiple of 4");
  const auto place =
      (at::arange(grid, at::kFloat) / (static_cast<double>(grid) / base))
          .to(at::kDouble);
  const int64_t quarter = dim / 4;
  const auto omega = at::pow(kMaxPeriod, -at::arange(quarter, at::kDouble) /
                                             static_cast<double>(quarter));
  const auto angle = at::outer(place, omega);
  const auto one_axis = at::cat({at::sin(angle), at::cos(angle)}, 1);
  const auto across = one_axis.unsqueeze(0).expand({grid, grid, dim / 2});
  const auto down = one_axis.unsqueeze(1).expand({grid, grid, dim / 2});
  return at::cat({across, down}, 2)
      .reshape({1, grid * grid, dim})
      .to(at::kFloat);
}

}  // namespace

RmsNormImpl::RmsNormImpl(int64_t dim) {
  weight = register_parameter("weight", torch::ones({dim}));
}

torch::Tensor RmsNormImpl::forward(const torch::Tensor& x) {
  return at::rms_norm(x, {x.size(-1)}, weight, kNormEps);
}

AdaNormImpl::AdaNormImpl(int64_t dim, int64_t parts) {
  linear = register_module("linear", Linear(dim, parts * dim));
}

torch::Tensor AdaNormImpl::forward(const torch::Tensor& activated) {
  return linear(activated).unsqueeze(1);
}

TwoLayerImpl::TwoLayerImpl(int64_t in, int64_t out) {
  linear_1 = register_module("linear_1", Linear(in, out));
  linear_2 = register_module("linear_2", Linear(out, out));
}

torch::Tensor TwoLayerImpl::forward(const torch::Tensor& x) {
  return linear_2(at::silu(linear_1(x)));
}

FeedForwardImpl::FeedForwardImpl(int64_t dim) {
  // net.0.proj and net.2, with diffusers' dropout between them.
  auto gelu = Scope();
  in_ = gelu->register_module("proj", Linear(dim, 4 * dim));
  out_ = Linear(4 * dim, dim);
  auto net = torch::nn::ModuleList();
  net->push_back(gelu);
  net->push_back(torch::nn::Dropout(0.0));
  net->push_back(out_);
  register_module("net", net);
}

torch::Tensor FeedForwardImpl::forward(const torch::Tensor& x) {
  return out_(at::gelu(in_(x), "tanh"));
}

JointAttentionImpl::JointAttentionImpl(const Sd3Config& config, Text text)
    : heads_(config.num_attention_heads),
      head_dim_(config.attention_head_dim),
      text_(text) {
  const int64_t dim = config.inner_dim();
  to_q_ = register_module("to_q", Linear(dim, dim));
  to_k_ = register_module("to_k", Linear(dim, dim));
  to_v_ = register_module("to_v", Linear(dim, dim));
  to_out_ = Linear(dim, dim);
  auto out = torch::nn::ModuleList();
  out->push_back(to_out_);
  register_module("to_out", out);
  if (text != Text::none) {
    add_q_ = register_module("add_q_proj", Linear(dim, dim));
    add_k_ = register_module("add_k_proj", Linear(dim, dim));
    add_v_ = register_module("add_v_proj", Linear(dim, dim));
  }
  if (text == Text::both) {
    add_out_ = register_module("to_add_out", Linear(dim, dim));
  }
  if (config.qk_rms_norm) {
    norm_q_ = register_module("norm_q", RmsNorm(head_dim_));
    norm_k_ = register_module("norm_k", RmsNorm(head_dim_));
    if (text != Text::none) {
      norm_added_q_ = register_module("norm_added_q", RmsNorm(head_dim_));
      norm_added_k_ = register_module("norm_added_k", RmsNorm(head_dim_));
    }
  }
}

torch::Tensor JointAttentionImpl::heads(const torch::Tensor& x,
                                        RmsNorm& norm) const {
  auto y = x.view({x.size(0), x.size(1), heads_, head_dim_});
  if (!norm.is_empty()) {
    y = norm(y);
  }
  return y;
}

std::pair<torch::Tensor, torch::Tensor> JointAttentionImpl::forward(
    const torch::Tensor& image, const torch::Tensor& text) {
  static RmsNorm no_norm{nullptr};
  auto q = heads(to_q_(image), norm_q_);
  auto k = heads(to_k_(image), norm_k_);
  auto v = heads(to_v_(image), no_norm);
  if (text_ != Text::none) {
    q = at::cat({q, heads(add_q_(text), norm_added_q_)}, 1);
    k = at::cat({k, heads(add_k_(text), norm_added_k_)}, 1);
    v = at::cat({v, heads(add_v_(text), no_norm)}, 1);
  }
  const auto mixed =
      at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2),
                                       v.transpose(1, 2))
          .transpose(1, 2)
          .reshape({image.size(0), -1, heads_ * head_dim_});
  const int64_t length = image.size(1);
  const auto image_out = to_out_(mixed.slice(1, 0, length));
  if (text_ != Text::both) {
    return {image_out, {}};
  }
  return {image_out, add_out_(mixed.slice(1, length))};
}

JointBlockImpl::JointBlockImpl(const Sd3Config& config, bool dual, bool last)
    : dual_(dual), last_(last) {
  using Text = JointAttentionImpl::Text;
  const int64_t dim = config.inner_dim();
  norm1_ = register_module("norm1", AdaNorm(dim, dual ? 9 : 6));
  norm1_context_ = register_module("norm1_context", AdaNorm(dim, last ? 2 : 6));
  attn_ = register_module(
      "attn", JointAttention(config, last ? Text::keys_only : Text::both));
  if (dual) {
    attn2_ = register_module("attn2", JointAttention(config, Text::none));
  }
  ff_ = register_module("ff", FeedForward(dim));
  if (!last) {
    ff_context_ = register_module("ff_context", FeedForward(dim));
  }
}

void JointBlockImpl::forward(torch::Tensor& image, torch::Tensor& text,
                             const torch::Tensor& activated,
                             bool checkpointed) {
  // The norms' layers are computed outside of what is computed again: two
  // gradients of `activated`, in the order of a pass that keeps everything.
  const Tensors in = {image, text, norm1_(activated),
                      norm1_context_(activated)};
  const auto out =
      checkpointed
          ? rsm::checkpointed(
                [this](const Tensors& again) { return mix(again); }, in, {this})
          : mix(in);
  image = out[0];
  text = last_ ? torch::Tensor() : out[1];
}

Tensors JointBlockImpl::mix(const Tensors& in) {
  auto image = in[0], text = in[1];
  // Parts, in order: shift, scale, gate of attention; shift, scale, gate of
  // the feed-forward; and of the second attention. The last block's text norm
  // has scale before shift (diffusers' AdaLayerNormContinuous).
  const auto m = in[2].chunk(dual_ ? 9 : 6, 2);
  const auto c = in[3].chunk(last_ ? 2 : 6, 2);
  const auto image_normed = layer_norm(image);
  const auto text_in = last_ ? modulate(layer_norm(text), c[1], c[0])
                             : modulate(layer_norm(text), c[0], c[1]);
  const auto [attended, text_attended] =
      attn_(modulate(image_normed, m[0], m[1]), text_in);
  image = at::addcmul(image, m[2], attended);
  if (dual_) {
    const auto second =
        attn2_->forward(modulate(image_normed, m[6], m[7]), {}).first;
    image = at::addcmul(image, m[8], second);
  }
  image =
      at::addcmul(image, m[5], ff_(modulate(layer_norm(image), m[3], m[4])));
  if (last_) return {image};
  text = at::addcmul(text, c[2], text_attended);
  text = at::addcmul(text, c[5],
                     ff_context_(modulate(layer_norm(text), c[3], c[4])));
  return {image, text};
}

Sd3TransformerImpl::Sd3TransformerImpl(const Sd3Config& config)
    : config_(config) {
  const int64_t dim = config.inner_dim();
  const int64_t patch = config.patch_size;
  auto pos_embed = register_module("pos_embed", Scope());
  patch_ = pos_embed->register_module(
      "proj", Conv(config.in_channels, dim, patch, patch));
  position_ = pos_embed->register_buffer(
      "pos_embed", sincos_positions(dim, config.pos_embed_max_size,
                                    config.sample_size / patch));
  auto time_text = register_module("time_text_embed", Scope());
  timestep_embedder_ = time_text->register_module("timestep_embedder",
                                                  TwoLayer(kTimeChannels, dim));
  text_embedder_ = time_text->register_module(
      "text_embedder", TwoLayer(config.pooled_projection_dim, dim));
  context_embedder_ = register_module(
      "context_embedder",
      Linear(config.joint_attention_dim, config.caption_projection_dim));
  blocks_ = register_module("transformer_blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const auto& dual = config.dual_attention_layers;
    blocks_->push_back(
        JointBlock(config, std::find(dual.begin(), dual.end(), i) != dual.end(),
                   i == config.num_layers - 1));
  }
  norm_out_ = register_module("norm_out", AdaNorm(dim, 2));
  proj_out_ = register_module("proj_out",
                              Linear(dim, patch * patch * config.out_channels));
}

torch::Tensor Sd3TransformerImpl::predict(const torch::Tensor& x,
                                          const torch::Tensor& t,
                                          const Condition& condition) {
  return forward(x, t * 1000, condition.tokens, condition.pooled);
}

Network Sd3TransformerImpl::fresh() const {
  return std::make_shared<Sd3TransformerImpl>(config_);
}

std::vector<int64_t> Sd3TransformerImpl::latent_shape() const {
  return {config_.in_channels, config_.sample_size, config_.sample_size};
}

std::vector<int64_t> Sd3TransformerImpl::latent_shape(int64_t height,
                                                      int64_t width) const {
  const int64_t patch = config_.patch_size;
  const int64_t most = config_.pos_embed_max_size * patch;
  RSM_CHECK(height > 0 && width > 0 && height % patch == 0 &&
                width % patch == 0 && height <= most && width <= most,
            "[Sd3Transformer] latents of ", height, "x", width,
            " arrived; sides must be multiples of patch_size ", patch,
            " and at most ", most);
  return {config_.in_channels, height, width};
}

torch::Tensor Sd3TransformerImpl::embed_patches(const torch::Tensor& x) const {
  const int64_t patch = config_.patch_size;
  const int64_t height = x.size(2) / patch;
  const int64_t width = x.size(3) / patch;
  const int64_t max = config_.pos_embed_max_size;
  latent_shape(x.size(2), x.size(3));
  const auto patches =
      x.view({x.size(0), x.size(1), height, patch, width, patch})
          .permute({0, 2, 4, 1, 3, 5})
          .reshape({x.size(0), height * width, -1});
  const int64_t top = (max - height) / 2;
  const int64_t left = (max - width) / 2;
  const auto position = position_.view({1, max, max, -1})
                            .slice(1, top, top + height)
                            .slice(2, left, left + width)
                            .reshape({1, height * width, -1});
  return patch_->of_patches(patches) + position;
}

torch::Tensor Sd3TransformerImpl::unpatchify(const torch::Tensor& tokens,
                                             int64_t height,
                                             int64_t width) const {
  const int64_t patch = config_.patch_size;
  return tokens
      .view({tokens.size(0), height / patch, width / patch, patch, patch,
             config_.out_channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({tokens.size(0), config_.out_channels, height, width});
}

torch::Tensor Sd3TransformerImpl::forward(const torch::Tensor& x,
                                          const torch::Tensor& timestep,
                                          const torch::Tensor& tokens,
                                          const torch::Tensor& pooled) {
  const auto type = patch_->weight.scalar_type();
  auto image = embed_patches(x.to(type));
  const auto temb = timestep_embedder_(time_features(timestep).to(type)) +
                    text_embedder_(pooled.to(type));
  const auto activated = at::silu(temb);
  auto text = context_embedder_(tokens.to(type));
  for (const auto& block : *blocks_) {
    block->as<JointBlock>()->forward(image, text, activated,
                                     activation_checkpointing());
  }
  const auto out = norm_out_(activated).chunk(2, 2);
  return unpatchify(proj_out_(modulate(layer_norm(image), out[1], out[0])),
                    x.size(2), x.size(3));
}

}  // namespace rsm
