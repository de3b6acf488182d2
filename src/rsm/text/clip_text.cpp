#include "rsm/text/clip_text.h"

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/normalization.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/layers/linear.h"

namespace rsm {
namespace {

using nlohmann::json;
using torch::nn::Embedding;
using torch::nn::LayerNorm;

constexpr double kQuickGelu = 1.702;  // x sigmoid(1.702 x), CLIP's GELU
constexpr int64_t kLegacyEos = 2;

/** Beyond all models there are, and far below what overflows. */
constexpr int64_t kWidest = 65536;
constexpr int64_t kMostLayers = 1024;
constexpr int64_t kMostTokens = 1 << 24;

torch::Tensor activate(const torch::Tensor& x, bool quick) {
  return quick ? x * at::sigmoid(kQuickGelu * x) : at::gelu(x);
}

LayerNorm layer_norm(const ClipTextConfig& config) {
  return LayerNorm(torch::nn::LayerNormOptions({config.hidden_size})
                       .eps(config.layer_norm_eps));
}

class EmbeddingsImpl : public torch::nn::Module {
 public:
  explicit EmbeddingsImpl(const ClipTextConfig& c) {
    token_ = register_module("token_embedding",
                             Embedding(c.vocab_size, c.hidden_size));
    position_ =
        register_module("position_embedding",
                        Embedding(c.max_position_embeddings, c.hidden_size));
  }
  torch::Tensor forward(const torch::Tensor& ids) {
    return token_(ids) + position_->weight.narrow(0, 0, ids.size(1));
  }

 private:
  Embedding token_{nullptr}, position_{nullptr};
};
TORCH_MODULE(Embeddings);

class SelfAttentionImpl : public torch::nn::Module {
 public:
  explicit SelfAttentionImpl(const ClipTextConfig& c)
      : heads_(c.num_attention_heads) {
    const int64_t width = c.hidden_size;
    k_ = register_module("k_proj", Linear(width, width));
    v_ = register_module("v_proj", Linear(width, width));
    q_ = register_module("q_proj", Linear(width, width));
    out_ = register_module("out_proj", Linear(width, width));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = at::scaled_dot_product_attention(
        split(q_(x)), split(k_(x)), split(v_(x)), {}, 0.0, true);
    return out_(y.transpose(1, 2).flatten(2));
  }

 private:
  torch::Tensor split(const torch::Tensor& x) const {
    return x.unflatten(2, {heads_, -1}).transpose(1, 2);
  }

  int64_t heads_;
  Linear k_{nullptr}, v_{nullptr}, q_{nullptr}, out_{nullptr};
};
TORCH_MODULE(SelfAttention);

class MlpImpl : public torch::nn::Module {
 public:
  explicit MlpImpl(const ClipTextConfig& c)
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

class LayerImpl : public torch::nn::Module {
 public:
  explicit LayerImpl(const ClipTextConfig& c) {
    attention_ = register_module("self_attn", SelfAttention(c));
    norm1_ = register_module("layer_norm1", layer_norm(c));
    mlp_ = register_module("mlp", Mlp(c));
    norm2_ = register_module("layer_norm2", layer_norm(c));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto y = x + attention_(norm1_(x));
    return y + mlp_(norm2_(y));
  }

 private:
  SelfAttention attention_{nullptr};
  LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Mlp mlp_{nullptr};
};
TORCH_MODULE(Layer);

class EncoderImpl : public torch::nn::Module {
 public:
  explicit EncoderImpl(const ClipTextConfig& c) {
    layers = register_module("layers", torch::nn::ModuleList());
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
      layers->push_back(Layer(c));
    }
  }
  torch::nn::ModuleList layers{nullptr};
};
TORCH_MODULE(Encoder);

}  // namespace

class ClipTextTransformerImpl : public torch::nn::Module {
 public:
  explicit ClipTextTransformerImpl(const ClipTextConfig& c) {
    embeddings_ = register_module("embeddings", Embeddings(c));
    encoder_ = register_module("encoder", Encoder(c));
    final_norm_ = register_module("final_layer_norm", layer_norm(c));
  }
  /** ids [B,L] -> {last_hidden_state, penultimate}, both [B,L,E]. */
  std::pair<torch::Tensor, torch::Tensor> forward(const torch::Tensor& ids) {
    auto x = embeddings_(ids);
    torch::Tensor before = x;
    for (const auto& layer : *encoder_->layers) {
      before = x;
      x = layer->as<Layer>()->forward(x);
    }
    return {final_norm_(x), before};
  }

 private:
  Embeddings embeddings_{nullptr};
  Encoder encoder_{nullptr};
  LayerNorm final_norm_{nullptr};
};

ClipTextConfig ClipTextConfig::from_json(const json& from,
                                         const std::string& origin) {
  const JsonFields fields(from, "[ClipTextConfig] " + origin,
                          JsonFields::Null::is_missing);
  // A config of CLIP as a whole has the text encoder's as a part.
  if (fields.value("model_type") == "clip" && fields.has("text_config")) {
    return from_json(fields.value("text_config"), origin + ": text_config");
  }
  ClipTextConfig c;
  fields.integer("vocab_size", c.vocab_size, 1, kMostTokens);
  fields.integer("hidden_size", c.hidden_size, 1, kWidest);
  fields.integer("intermediate_size", c.intermediate_size, 1, kWidest);
  fields.integer("projection_dim", c.projection_dim, 1, kWidest);
  fields.integer("num_hidden_layers", c.num_hidden_layers, 1, kMostLayers);
  fields.integer("num_attention_heads", c.num_attention_heads, 1, kWidest);
  fields.integer("max_position_embeddings", c.max_position_embeddings, 2,
                 kWidest);
  fields.integer("pad_token_id", c.pad_token_id, 0, kMostTokens);
  fields.integer("bos_token_id", c.bos_token_id, 0, kMostTokens);
  fields.integer("eos_token_id", c.eos_token_id, 0, kMostTokens);
  fields.check(
      "hidden_size", c.hidden_size % c.num_attention_heads == 0,
      cat("a multiple of num_attention_heads = ", c.num_attention_heads));
  fields.number_above("layer_norm_eps", c.layer_norm_eps, 0, 1);
  fields.choice("hidden_act", c.hidden_act, {"quick_gelu", "gelu"});
  return c;
}

TensorShapes ClipTextConfig::anchors(bool with_projection) const {
  const std::string last =
      cat("text_model.encoder.layers.", num_hidden_layers - 1, ".");
  TensorShapes found = {
      {"text_model.embeddings.position_embedding.weight",
       {max_position_embeddings, hidden_size}},
      {"text_model.embeddings.token_embedding.weight",
       {vocab_size, hidden_size}},
      {last + "mlp.fc1.weight", {intermediate_size, hidden_size}}};
  if (with_projection) {
    found["text_projection.weight"] = {projection_dim, hidden_size};
  }
  return found;
}

json ClipTextConfig::to_json(bool with_projection) const {
  const char* architecture =
      with_projection ? "CLIPTextModelWithProjection" : "CLIPTextModel";
  return {{"architectures", {architecture}},
          {"model_type", "clip_text_model"},
          {"vocab_size", vocab_size},
          {"hidden_size", hidden_size},
          {"intermediate_size", intermediate_size},
          {"projection_dim", projection_dim},
          {"num_hidden_layers", num_hidden_layers},
          {"num_attention_heads", num_attention_heads},
          {"max_position_embeddings", max_position_embeddings},
          {"hidden_act", hidden_act},
          {"layer_norm_eps", layer_norm_eps},
          {"pad_token_id", pad_token_id},
          {"bos_token_id", bos_token_id},
          {"eos_token_id", eos_token_id}};
}

ClipTextModelImpl::ClipTextModelImpl(const ClipTextConfig& config,
                                     bool with_projection)
    : config_(config) {
  RSM_CHECK(config.hidden_size % config.num_attention_heads == 0,
            "[ClipTextModel] hidden_size ", config.hidden_size,
            " arrived; a multiple of num_attention_heads = ",
            config.num_attention_heads, " is needed");
  text_model_ = register_module(
      "text_model", std::make_shared<ClipTextTransformerImpl>(config));
  if (with_projection) {
    text_projection_ = register_module(
        "text_projection",
        Linear(config.hidden_size, config.projection_dim, false));
  }
}

ClipTextOutput ClipTextModelImpl::forward(const torch::Tensor& ids) {
  RSM_CHECK(ids.dim() == 2 && ids.size(1) >= 1 &&
                ids.size(1) <= config_.max_position_embeddings &&
                ids.scalar_type() == at::kLong,
            "[ClipTextModel] ids of shape ", ids.sizes(), ", type ",
            ids.scalar_type(), " arrived; int64 [B,L] with L from 1 to ",
            config_.max_position_embeddings, " is needed");
  ClipTextOutput out;
  std::tie(out.last_hidden_state, out.penultimate) = text_model_->forward(ids);
  const auto place = config_.eos_token_id == kLegacyEos
                         ? ids.argmax(1)
                         : (ids == config_.eos_token_id).to(at::kInt).argmax(1);
  out.pooled = out.last_hidden_state.index(
      {at::arange(ids.size(0), place.options()), place});
  if (text_projection_) {
    out.text_embeds = text_projection_->as<Linear>()->forward(out.pooled);
  }
  return out;
}

std::string clip_text_name(const std::string& name) {
  // What a whole CLIP has besides.
  for (const char* other :
       {"vision_model.", "visual_projection.", "logit_scale"}) {
    if (name.starts_with(other)) return "";
  }
  if (name.ends_with("embeddings.position_ids")) return "";
  const bool complete =
      name.starts_with("text_model.") || name.starts_with("text_projection.");
  return complete ? name : "text_model." + name;
}

}  // namespace rsm
