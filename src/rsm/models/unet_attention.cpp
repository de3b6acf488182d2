#include "rsm/models/unet_attention.h"

#include <torch/nn/modules/dropout.h>

#include <memory>

namespace rsm {
namespace {

using torch::nn::LayerNorm;
using torch::nn::LayerNormOptions;
using torch::nn::ModuleList;

constexpr double kLayerNormEps = 1e-5;
constexpr double kGroupNormEps = 1e-6;  // not the config's norm_eps

}  // namespace

UnetAttentionImpl::UnetAttentionImpl(int64_t dim, int64_t context_dim,
                                     int64_t heads)
    : heads_(heads) {
  to_q_ = register_module("to_q", Linear(dim, dim, false));
  to_k_ = register_module("to_k", Linear(context_dim, dim, false));
  to_v_ = register_module("to_v", Linear(context_dim, dim, false));
  to_out_ = Linear(dim, dim);
  auto out = ModuleList();
  out->push_back(to_out_);
  register_module("to_out", out);
}

torch::Tensor UnetAttentionImpl::split(const torch::Tensor& x) const {
  return x.unflatten(2, {heads_, -1}).transpose(1, 2);
}

torch::Tensor UnetAttentionImpl::forward(const torch::Tensor& x,
                                         const torch::Tensor& context) {
  const auto y = at::scaled_dot_product_attention(
      split(to_q_(x)), split(to_k_(context)), split(to_v_(context)));
  return to_out_(y.transpose(1, 2).flatten(2));
}

GatedFeedForwardImpl::GatedFeedForwardImpl(int64_t dim) {
  // net.0.proj and net.2, with diffusers' dropout between them.
  auto gate = std::make_shared<torch::nn::Module>();
  in_ = gate->register_module("proj", Linear(dim, 8 * dim));
  out_ = Linear(4 * dim, dim);
  auto net = ModuleList();
  net->push_back(gate);
  net->push_back(torch::nn::Dropout(0.0));
  net->push_back(out_);
  register_module("net", net);
}

torch::Tensor GatedFeedForwardImpl::forward(const torch::Tensor& x) {
  const auto parts = in_(x).chunk(2, -1);
  return out_(parts[0] * at::gelu(parts[1]));
}

UnetTransformerBlockImpl::UnetTransformerBlockImpl(int64_t dim,
                                                   int64_t context_dim,
                                                   int64_t heads) {
  const auto norm = [&] {
    return LayerNorm(LayerNormOptions({dim}).eps(kLayerNormEps));
  };
  norm1_ = register_module("norm1", norm());
  attn1_ = register_module("attn1", UnetAttention(dim, dim, heads));
  norm2_ = register_module("norm2", norm());
  attn2_ = register_module("attn2", UnetAttention(dim, context_dim, heads));
  norm3_ = register_module("norm3", norm());
  ff_ = register_module("ff", GatedFeedForward(dim));
}

torch::Tensor UnetTransformerBlockImpl::forward(const torch::Tensor& x,
                                                const torch::Tensor& tokens) {
  const auto normed = norm1_(x);
  auto y = x + attn1_(normed, normed);
  y = y + attn2_(norm2_(y), tokens);
  return y + ff_(norm3_(y));
}

UnetTransformerImpl::UnetTransformerImpl(const UnetConfig& config,
                                         int64_t channels, int64_t heads) {
  const int64_t dim = channels / heads * heads;
  norm_ = register_module(
      "norm", torch::nn::GroupNorm(
                  torch::nn::GroupNormOptions(config.norm_num_groups, channels)
                      .eps(kGroupNormEps)));
  proj_in_ = register_module("proj_in", Conv(channels, dim, 1));
  blocks_ = register_module("transformer_blocks", ModuleList());
  blocks_->push_back(
      UnetTransformerBlock(dim, config.cross_attention_dim, heads));
  proj_out_ = register_module("proj_out", Conv(dim, channels, 1));
}

torch::Tensor UnetTransformerImpl::forward(const torch::Tensor& x,
                                           const torch::Tensor& tokens) {
  auto y = proj_in_->of_patches(norm_(x).flatten(2).transpose(1, 2));
  for (const auto& block : *blocks_) {
    y = block->as<UnetTransformerBlock>()->forward(y, tokens);
  }
  y = proj_out_->of_patches(y);
  return x + y.transpose(1, 2).unflatten(2, {x.size(2), x.size(3)});
}

}  // namespace rsm
