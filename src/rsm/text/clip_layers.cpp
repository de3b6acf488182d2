#include "rsm/text/clip_layers.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/layers/linear.h"

namespace rsm {
namespace {

using nlohmann::json;
using torch::nn::LayerNorm;

constexpr double kQuickGelu = 1.702;  // x sigmoid(1.702 x), CLIP's GELU

torch::Tensor activate(const torch::Tensor& x, bool quick) {
  return quick ? x * at::sigmoid(kQuickGelu * x) : at::gelu(x);
}

class ClipAttentionImpl : public torch::nn::Module {
 public:
  ClipAttentionImpl(const ClipLayerConfig& c, bool causal)
      : heads_(c.num_attention_heads), causal_(causal) {
    const int64_t width = c.hidden_size;
    k_ = register_module("k_proj", Linear(width, width));
    v_ = register_module("v_proj", Linear(width, width));
    q_ = register_module("q_proj", Linear(width, width));
    out_ = register_module("out_proj", Linear(width, width));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = at::scaled_dot_product_attention(
        split(q_(x)), split(k_(x)), split(v_(x)), {}, 0.0, causal_);
    return out_(y.transpose(1, 2).flatten(2));
  }

 private:
  torch::Tensor split(const torch::Tensor& x) const {
    return x.unflatten(2, {heads_, -1}).transpose(1, 2);
  }

  int64_t heads_;
  bool causal_;
  Linear k_{nullptr}, v_{nullptr}, q_{nullptr}, out_{nullptr};
};
TORCH_MODULE(ClipAttention);

class MlpImpl : public torch::nn::Module {
 public:
  explicit MlpImpl(const ClipLayerConfig& c)
      : quick_(c.hidden_act == "quick_gelu") {
    fc1_ = register_module("fc1", Linear(c.hidden_size, c.intermediate_size));
    fc2_ = register_module("fc2", Linear(c.intermediate_size, c.hidden_size));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    return fc2_(activate(fc1_(x), quick_));
  }

 private:
  bool quick_;
  Linear fc1_{nullptr}, fc2_{nullptr};
};
TORCH_MODULE(Mlp);

class ClipLayerImpl : public torch::nn::Module {
 public:
  ClipLayerImpl(const ClipLayerConfig& c, bool causal) {
    attention_ = register_module("self_attn", ClipAttention(c, causal));
    norm1_ = register_module("layer_norm1", clip_norm(c));
    mlp_ = register_module("mlp", Mlp(c));
    norm2_ = register_module("layer_norm2", clip_norm(c));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = x + attention_(norm1_(x));
    return y + mlp_(norm2_(y));
  }

 private:
  ClipAttention attention_{nullptr};
  LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Mlp mlp_{nullptr};
};
TORCH_MODULE(ClipLayer);

}  // namespace

void ClipLayerConfig::read_layers(const JsonFields& fields) {
  fields.integer("hidden_size", hidden_size, 1, kWidestClip);
  fields.integer("intermediate_size", intermediate_size, 1, kWidestClip);
  read_projection(fields);
  fields.integer("num_hidden_layers", num_hidden_layers, 1, kMostClipLayers);
  fields.integer("num_attention_heads", num_attention_heads, 1, kWidestClip);
  fields.check(
      "hidden_size", hidden_size % num_attention_heads == 0,
      cat("a multiple of num_attention_heads = ", num_attention_heads));
  fields.number_above("layer_norm_eps", layer_norm_eps, 0, 1);
  fields.choice("hidden_act", hidden_act, {"quick_gelu", "gelu"});
}

void ClipLayerConfig::read_projection(const JsonFields& fields) {
  fields.integer("projection_dim", projection_dim, 1, kWidestClip);
}

json ClipLayerConfig::layers_to_json() const {
  return {{"hidden_size", hidden_size},
          {"intermediate_size", intermediate_size},
          {"projection_dim", projection_dim},
          {"num_hidden_layers", num_hidden_layers},
          {"num_attention_heads", num_attention_heads},
          {"hidden_act", hidden_act},
          {"layer_norm_eps", layer_norm_eps}};
}

bool is_whole_clip(const JsonFields& fields, const std::string& part) {
  return fields.value("model_type") == "clip" && fields.has(part);
}

LayerNorm clip_norm(const ClipLayerConfig& config) {
  return LayerNorm(torch::nn::LayerNormOptions({config.hidden_size})
                       .eps(config.layer_norm_eps));
}

ClipEncoderImpl::ClipEncoderImpl(const ClipLayerConfig& config, bool causal) {
  RSM_CHECK(config.hidden_size % config.num_attention_heads == 0,
            "[ClipEncoder] hidden_size ", config.hidden_size,
            " arrived; a multiple of num_attention_heads = ",
            config.num_attention_heads, " is needed");
  layers_ = register_module("layers", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_->push_back(ClipLayer(config, causal));
  }
}

ClipEncoderOutput ClipEncoderImpl::forward(const torch::Tensor& x) {
  ClipEncoderOutput out = {x, x};
  for (const auto& layer : *layers_) {
    out.penultimate = out.last;
    out.last = layer->as<ClipLayer>()->forward(out.last);
  }
  return out;
}

}  // namespace rsm
