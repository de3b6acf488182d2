#include "rsm/models/clip_vision.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/layers/linear.h"

namespace rsm {
namespace {

using nlohmann::json;
using torch::nn::LayerNorm;

constexpr int64_t kMostPixels = 1 << 16;  // of a side
constexpr int64_t kMostChannels = 1024;
constexpr int64_t kMostPatches = 1 << 24;

/** A parameter called weight, as that of a layer without bias has it. */
class WeightImpl : public torch::nn::Module {
 public:
  explicit WeightImpl(const std::vector<int64_t>& shape)
      : weight(register_parameter("weight", torch::empty(shape))) {}
  torch::Tensor weight;
};
TORCH_MODULE(Weight);

class EmbeddingsImpl : public torch::nn::Module {
 public:
  explicit EmbeddingsImpl(const ClipVisionConfig& c) : patch_(c.patch_size) {
    const int64_t width = c.hidden_size;
    class_ = register_parameter("class_embedding", torch::empty({width}));
    patches_ = register_module(
        "patch_embedding",
        Weight(std::vector<int64_t>{width, c.num_channels, patch_, patch_}));
    places_ =
        register_module("position_embedding",
                        Weight(std::vector<int64_t>{1 + c.patches(), width}));
  }
  /** pixels [B,C,H,W] -> [B,1+N,E] */
  torch::Tensor forward(const torch::Tensor& pixels) {
    const auto& filters = patches_->weight;
    const auto patches =
        at::conv2d(pixels.to(filters.options()), filters, {}, patch_)
            .flatten(2)
            .transpose(1, 2);
    const auto first = class_.expand({patches.size(0), 1, -1});
    return at::cat({first, patches}, 1) + places_->weight;
  }

 private:
  int64_t patch_;
  torch::Tensor class_;
  Weight patches_{nullptr}, places_{nullptr};
};
TORCH_MODULE(Embeddings);

}  // namespace

class ClipVisionTransformerImpl : public torch::nn::Module {
 public:
  explicit ClipVisionTransformerImpl(const ClipVisionConfig& c) {
    embeddings_ = register_module("embeddings", Embeddings(c));
    // So it is spelt in all files.
    first_norm_ = register_module("pre_layrnorm", clip_norm(c));
    encoder_ = register_module("encoder", ClipEncoder(c, false));
    last_norm_ = register_module("post_layernorm", clip_norm(c));
  }
  /** All of the output but image_embeds. */
  ClipVisionOutput forward(const torch::Tensor& pixels) {
    const auto hidden = encoder_(first_norm_(embeddings_(pixels)));
    ClipVisionOutput out;
    out.last_hidden_state = hidden.last;
    out.penultimate = hidden.penultimate;
    out.pooled = last_norm_(hidden.last.select(1, 0));
    return out;
  }

 private:
  Embeddings embeddings_{nullptr};
  LayerNorm first_norm_{nullptr}, last_norm_{nullptr};
  ClipEncoder encoder_{nullptr};
};

ClipVisionConfig::ClipVisionConfig() {
  hidden_size = 768;
  intermediate_size = 3072;
  num_attention_heads = 12;
}

int64_t ClipVisionConfig::patches() const {
  const int64_t side = image_size / patch_size;
  return side * side;
}

ClipVisionConfig ClipVisionConfig::from_json(const json& from,
                                             const std::string& origin) {
  const JsonFields fields(from, "[ClipVisionConfig] " + origin,
                          JsonFields::Null::is_missing);
  ClipVisionConfig c;
  if (is_whole_clip(fields, "vision_config")) {
    c = from_json(fields.value("vision_config"), origin + ": vision_config");
    c.read_projection(fields);
    return c;
  }
  c.read_layers(fields);
  fields.integer("num_channels", c.num_channels, 1, kMostChannels);
  fields.integer("image_size", c.image_size, 1, kMostPixels);
  fields.integer("patch_size", c.patch_size, 1, kMostPixels);
  fields.check("patch_size",
               c.patch_size <= c.image_size && c.patches() < kMostPatches,
               cat("a part of image_size = ", c.image_size));
  return c;
}

json ClipVisionConfig::to_json() const {
  json written = layers_to_json();
  written.update({{"architectures", {"CLIPVisionModelWithProjection"}},
                  {"model_type", "clip_vision_model"},
                  {"num_channels", num_channels},
                  {"image_size", image_size},
                  {"patch_size", patch_size}});
  return written;
}

TensorShapes ClipVisionConfig::anchors() const {
  const std::string last =
      cat("vision_model.encoder.layers.", num_hidden_layers - 1, ".");
  return {{"vision_model.embeddings.patch_embedding.weight",
           {hidden_size, num_channels, patch_size, patch_size}},
          {"vision_model.embeddings.position_embedding.weight",
           {1 + patches(), hidden_size}},
          {last + "mlp.fc1.weight", {intermediate_size, hidden_size}},
          {"visual_projection.weight", {projection_dim, hidden_size}}};
}

ClipVisionModelImpl::ClipVisionModelImpl(const ClipVisionConfig& config)
    : config_(config) {
  vision_model_ = register_module(
      "vision_model", std::make_shared<ClipVisionTransformerImpl>(config));
  visual_projection_ =
      register_module("visual_projection",
                      Linear(config.hidden_size, config.projection_dim, false));
}

ClipVisionOutput ClipVisionModelImpl::forward(const torch::Tensor& pixels) {
  const auto& c = config_;
  RSM_CHECK(pixels.dim() == 4 && pixels.size(1) == c.num_channels &&
                pixels.size(2) == c.image_size &&
                pixels.size(3) == c.image_size && pixels.is_floating_point(),
            "[ClipVisionModel] pixels of shape ", pixels.sizes(), ", type ",
            pixels.scalar_type(), " arrived; floating-point [B,",
            c.num_channels, ",", c.image_size, ",", c.image_size,
            "] are needed");
  auto out = vision_model_->forward(pixels);
  out.image_embeds = visual_projection_->as<Linear>()->forward(out.pooled);
  return out;
}

std::string clip_vision_name(const std::string& name) {
  if (name.ends_with("embeddings.position_ids")) return "";
  // What a whole CLIP has besides.
  for (const char* other : {"text_model.", "text_projection.", "logit_scale"}) {
    if (name.starts_with(other)) return "";
  }
  return name;
}

}  // namespace rsm
