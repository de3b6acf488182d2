#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/models/clip_vision.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"
#include "rsm/rewards/rewards.h"
#include "rsm/text/clip_text.h"
#include "rsm/text/clip_tokenizer.h"

/** What tests of judges share; no part of the library includes this. */
namespace rsm {

inline RewardSpec spec_of(const std::string& name) {
  RewardSpec spec;
  spec.name = name;
  return spec;
}

/** A prompt of geneval: what its pictures show and what they do not. */
inline Prompt prompt_of(const char* tag, const nlohmann::json& include,
                        const nlohmann::json& exclude = nullptr) {
  nlohmann::json metadata = {{"tag", tag}, {"include", include}};
  if (!exclude.is_null()) metadata["exclude"] = exclude;
  return {0, "a photo", tag, metadata.dump()};
}

inline constexpr int64_t kSmallProjection = 10;

/** Two layers of either tower. */
inline void set_small_layers(ClipLayerConfig& c, int64_t width, int64_t inner,
                             int64_t heads) {
  c.hidden_size = width;
  c.intermediate_size = inner;
  c.num_attention_heads = heads;
  c.projection_dim = kSmallProjection;
  c.num_hidden_layers = 2;
  c.hidden_act = "gelu";
}

inline ClipVisionConfig small_vision() {
  ClipVisionConfig c;
  set_small_layers(c, 16, 24, 2);
  c.image_size = 12;
  c.patch_size = 4;
  return c;
}

inline ClipTextConfig small_text(int64_t tokens) {
  ClipTextConfig c;
  c.vocab_size = tokens;
  set_small_layers(c, 12, 20, 3);
  c.max_position_embeddings = 16;
  c.bos_token_id = tokens - 2;
  c.eos_token_id = 2;  // the largest id, as in CLIP's own configs
  return c;
}

/** Random weights; those of norms are about one, so that all that comes in
 * counts. */
inline void fill_tower(torch::nn::Module& tower, uint64_t index) {
  fill(tower, index, 0.3, 0.3);
  const torch::NoGradGuard no_grad;
  for (auto& item : tower.named_parameters()) {
    const bool norm = item.key().find("norm") != std::string::npos;
    if (norm && item.key().ends_with("weight")) item.value().add_(1);
  }
}

/** A random CLIP in transformers' layout with its tokenizer, and a head of
 * ratings. */
inline void write_small_clip(const std::string& folder) {
  const std::string tokenizer = folder + "/tokenizer";
  write_word_vocabulary(tokenizer, {"red", "blue", "circle", "square", "two"},
                        16);
  const auto text =
      small_text(ClipTokenizer::load(tokenizer).vocabulary_size());
  ClipVisionModel pictures(small_vision());
  fill_tower(*pictures, 0);
  ClipTextModel texts(text, true);
  fill_tower(*texts, 500);
  auto weights = state_dict(*pictures);
  weights.merge(state_dict(*texts));
  weights["logit_scale"] = at::full({}, 3.0F);
  write_json_atomic(folder + "/config.json",
                    {{"model_type", "clip"},
                     {"architectures", {"CLIPModel"}},
                     {"projection_dim", kSmallProjection},
                     {"vision_config", small_vision().to_json()},
                     {"text_config", text.to_json(true)}});
  write_safetensors(folder + "/model.safetensors", weights, {{"format", "pt"}});
  write_safetensors(folder + "/head.safetensors",
                    {{"layers.0.weight", test_normal(900, {6, 10}) * 0.5},
                     {"layers.0.bias", test_normal(901, {6})},
                     {"layers.2.weight", test_normal(902, {4, 6}) * 0.5},
                     {"layers.2.bias", test_normal(903, {4})},
                     {"layers.10.weight", test_normal(904, {1, 4}) * 0.5},
                     {"layers.10.bias", test_normal(905, {1})}});
}

}  // namespace rsm
