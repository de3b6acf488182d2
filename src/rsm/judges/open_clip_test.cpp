#include "rsm/judges/open_clip.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

/** Shapes of ViT-H/14 as published: HPSv2's files have these. */
TensorShapes huge_shapes() {
  TensorShapes out = {{"visual.conv1.weight", {1280, 3, 14, 14}},
                      {"visual.class_embedding", {1280}},
                      {"visual.positional_embedding", {257, 1280}},
                      {"visual.proj", {1280, 1024}},
                      {"token_embedding.weight", {49408, 1024}},
                      {"positional_embedding", {77, 1024}},
                      {"text_projection", {1024, 1024}}};
  for (int64_t i = 0; i < 32; ++i) {
    out[cat("visual.transformer.resblocks.", i, ".mlp.c_fc.weight")] = {5120,
                                                                        1280};
    if (i < 24) {
      out[cat("transformer.resblocks.", i, ".mlp.c_fc.weight")] = {4096, 1024};
    }
  }
  return out;
}

TEST(OpenClip, KnowsViTH14ByItsShapes) {
  const auto found = open_clip_configs(huge_shapes(), {}, "hps");
  // As in the config.json of transformers' copy of it (PickScore's, too).
  const auto vision = ClipVisionConfig::from_json({{"hidden_size", 1280},
                                                   {"intermediate_size", 5120},
                                                   {"num_attention_heads", 16},
                                                   {"num_hidden_layers", 32},
                                                   {"patch_size", 14},
                                                   {"projection_dim", 1024},
                                                   {"hidden_act", "gelu"}});
  EXPECT_EQ(found.vision.to_json(), vision.to_json());
  const auto text = ClipTextConfig::from_json({{"hidden_size", 1024},
                                               {"intermediate_size", 4096},
                                               {"num_attention_heads", 16},
                                               {"num_hidden_layers", 24},
                                               {"projection_dim", 1024},
                                               {"eos_token_id", 2},
                                               {"hidden_act", "gelu"}});
  EXPECT_EQ(found.text.to_json(true), text.to_json(true));
}

TEST(OpenClip, OthersNeedTheirConfig) {
  auto shapes = huge_shapes();
  shapes["visual.conv1.weight"] = {1024, 3, 14, 14};
  expect_parts(error_of([&] { open_clip_configs(shapes, {}, "x"); }),
               {"1024 wide", "open_clip_config.json"});
  json config = {{"model_cfg",
                  {{"quick_gelu", true},
                   {"vision_cfg", json::object()},
                   {"text_cfg", {{"heads", 12}}}}}};
  expect_parts(error_of([&] { open_clip_configs(shapes, config, "x"); }),
               {"text_cfg.heads is 12", "1024"});
  config["model_cfg"]["text_cfg"]["heads"] = 16;
  const auto found = open_clip_configs(shapes, config, "x");
  EXPECT_EQ(found.vision.num_attention_heads, 16);
  EXPECT_EQ(found.vision.hidden_act, "quick_gelu");
  config["model_cfg"]["vision_cfg"]["timm_model_name"] = "resnet";
  expect_parts(error_of([&] { open_clip_configs(shapes, config, "x"); }),
               {"timm_model_name", "OpenCLIP's own"});
  shapes.erase("visual.proj");
  expect_parts(error_of([&] { open_clip_configs(shapes, {}, "x"); }),
               {"no tensor visual.proj"});
}

TEST(OpenClip, LeavesUnknownNamesToTheLoader) {
  const auto one = at::ones({1});
  const auto names =
      open_clip_names({{"attn_mask", one},
                       {"input_resolution", one},
                       {"visual.other", one},
                       {"transformer.resblocks.x.ln_1.bias", one},
                       {"transformer.resblocks.3.other", one}});
  std::vector<std::string> found;
  for (const auto& [name, tensor] : names) found.push_back(name);
  EXPECT_EQ(found, (std::vector<std::string>{
                       "text_model.encoder.layers.3.other",
                       "transformer.resblocks.x.ln_1.bias", "visual.other"}));
}

}  // namespace
}  // namespace rsm
