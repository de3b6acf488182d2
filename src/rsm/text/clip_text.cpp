#include "rsm/text/clip_text.h"

#include <torch/nn/modules/embedding.h>

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/layers/linear.h"

namespace rsm {
namespace {

using nlohmann::json;
using torch::nn::Embedding;

constexpr int64_t kLegacyEos = 2;
constexpr int64_t kMostClipTokens = 1 << 24;  // beyond all models there are

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

}  // namespace

class ClipTextTransformerImpl : public torch::nn::Module {
 public:
  explicit ClipTextTransformerImpl(const ClipTextConfig& c) {
    embeddings_ = register_module("embeddings", Embeddings(c));
    encoder_ = register_module("encoder", ClipEncoder(c, true));
    final_norm_ = register_module("final_layer_norm", clip_norm(c));
  }
  /** ids [B,L]; `last` after the final norm. */
  ClipEncoderOutput forward(const torch::Tensor& ids) {
    const auto out = encoder_(embeddings_(ids));
    return {final_norm_(out.last), out.penultimate};
  }

 private:
  Embeddings embeddings_{nullptr};
  ClipEncoder encoder_{nullptr};
  torch::nn::LayerNorm final_norm_{nullptr};
};

ClipTextConfig ClipTextConfig::from_json(const json& from,
                                         const std::string& origin) {
  const JsonFields fields(from, "[ClipTextConfig] " + origin,
                          JsonFields::Null::is_missing);
  ClipTextConfig c;
  if (is_whole_clip(fields, "text_config")) {
    c = from_json(fields.value("text_config"), origin + ": text_config");
    c.read_projection(fields);
    return c;
  }
  fields.integer("vocab_size", c.vocab_size, 1, kMostClipTokens);
  c.read_layers(fields);
  fields.integer("max_position_embeddings", c.max_position_embeddings, 2,
                 kWidestClip);
  fields.integer("pad_token_id", c.pad_token_id, 0, kMostClipTokens);
  fields.integer("bos_token_id", c.bos_token_id, 0, kMostClipTokens);
  fields.integer("eos_token_id", c.eos_token_id, 0, kMostClipTokens);
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
  json written = layers_to_json();
  written.update({{"architectures", {architecture}},
                  {"model_type", "clip_text_model"},
                  {"vocab_size", vocab_size},
                  {"max_position_embeddings", max_position_embeddings},
                  {"pad_token_id", pad_token_id},
                  {"bos_token_id", bos_token_id},
                  {"eos_token_id", eos_token_id}});
  return written;
}

ClipTextModelImpl::ClipTextModelImpl(const ClipTextConfig& config,
                                     bool with_projection)
    : config_(config) {
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
  const auto hidden = text_model_->forward(ids);
  out.last_hidden_state = hidden.last;
  out.penultimate = hidden.penultimate;
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
