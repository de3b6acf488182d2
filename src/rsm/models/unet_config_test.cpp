#include "rsm/models/unet_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

using nlohmann::json;

TEST(UnetConfig, HasTheDefaultsOfDiffusers) {
  const TemporaryFolder folder;
  run_python("unet_peer.py", "defaults " + folder / "defaults.json");
  const json defaults = read_json(folder / "defaults.json");
  const json own = UnetConfig().to_json();
  for (const auto& [key, value] : own.items()) {
    if (key.starts_with("_")) continue;
    EXPECT_EQ(value, defaults.at(key)) << key;
  }
  // Every key of diffusers is known, and its default allowed.
  EXPECT_EQ(UnetConfig::from_json(defaults, "x").to_json(), own);
  EXPECT_EQ(UnetConfig::from_json(json::object(), "x").to_json(), own);
}

TEST(UnetConfig, ComesBackFromJson) {
  const json small = small_unet_config().to_json();
  EXPECT_EQ(UnetConfig::from_json(small, "x").to_json(), small);
  json sd15 = sd15_unet_json();
  sd15.erase("act_fn");  // there is one only, the default
  sd15["_diffusers_version"] = small["_diffusers_version"];
  EXPECT_EQ(UnetConfig::from_json(sd15_unet_json(), "x").to_json(), sd15);
}

TEST(UnetConfig, TakesOneNumberOfHeadsForAllLevels) {
  json config = small_unet_config().to_json();
  config["attention_head_dim"] = 4;
  EXPECT_EQ(UnetConfig::from_json(config, "x").heads,
            (std::vector<int64_t>{4, 4}));
  config.erase("attention_head_dim");
  EXPECT_EQ(UnetConfig::from_json(config, "x").heads,
            (std::vector<int64_t>{8, 8}));
}

/** The error about small_unet_config() with one field changed; it names the
 * key. */
std::string unet_config_error(const json& change) {
  json config = small_unet_config().to_json();
  config.update(change);
  const auto text =
      error_of([&] { UnetConfig::from_json(config, "a/config.json"); });
  expect_parts(text, {"[UnetConfig] a/config.json", change.begin().key()});
  return text;
}

TEST(UnetConfig, OfAnotherKindOfUnetIsAnError) {
  const std::vector<json> others = {
      {{"act_fn", "gelu"}},
      {{"addition_embed_type", "text_time"}},
      {{"addition_time_embed_dim", 256}},
      {{"attention_type", "gated"}},
      {{"class_embed_type", "timestep"}},
      {{"class_embeddings_concat", true}},
      {{"conv_in_kernel", 1}},
      {{"conv_out_kernel", 5}},
      {{"cross_attention_norm", "layer_norm"}},
      {{"dropout", 0.1}},
      {{"dual_cross_attention", true}},
      {{"encoder_hid_dim", 64}},
      {{"encoder_hid_dim_type", "text_proj"}},
      {{"mid_block_only_cross_attention", true}},
      {{"mid_block_type", "UNetMidBlock2D"}},
      {{"mid_block_type", nullptr}},
      {{"num_attention_heads", 8}},
      {{"num_class_embeds", 10}},
      {{"only_cross_attention", true}},
      {{"only_cross_attention", {false, true}}},
      {{"projection_class_embeddings_input_dim", 2816}},
      {{"resnet_out_scale_factor", 0.5}},
      {{"resnet_skip_time_act", true}},
      {{"resnet_time_scale_shift", "scale_shift"}},
      {{"reverse_transformer_layers_per_block", {{1, 2}}}},
      {{"time_cond_proj_dim", 256}},
      {{"time_embedding_act_fn", "silu"}},
      {{"time_embedding_dim", 64}},
      {{"time_embedding_type", "fourier"}},
      {{"timestep_post_act", "silu"}},
      {{"transformer_layers_per_block", 2}},
      {{"upcast_attention", true}},
      {{"use_linear_projection", true}}};
  for (const auto& change : others) {
    expect_parts(unet_config_error(change),
                 {"only", "is supported", change.begin().value().dump()});
  }
}

TEST(UnetConfig, ThatIsImpossibleIsAnError) {
  const auto& error = unet_config_error;
  expect_parts(error({{"layer_per_block", 2}}),
               {"did you mean \"layers_per_block\""});
  for (const json& bad : {json(0), json(2.5), json("8"), json(true),
                          json(nullptr), json::array({2})}) {
    expect_parts(error({{"layers_per_block", bad}}), {bad.dump(), "integer"});
  }
  expect_parts(error({{"sample_size", {64, 64}}}), {"integer"});
  expect_parts(error({{"flip_sin_to_cos", 1}}), {"true or false"});
  expect_parts(error({{"norm_eps", 0}}), {"above 0"});
  expect_parts(error({{"mid_block_scale_factor", "1"}}), {"above 0"});
  expect_parts(error({{"freq_shift", -1}}), {"at least 0"});
  expect_parts(error({{"freq_shift", 8}}), {"16", "above freq_shift"});
  expect_parts(error({{"block_out_channels", json::array()}}), {"list"});
  expect_parts(error({{"block_out_channels", {16, 0}}}), {"list"});
  expect_parts(error({{"block_out_channels", {16, 36}}}),
               {"36", "norm_num_groups = 8"});
  expect_parts(error({{"down_block_types", {"DownBlock2D", "UpBlock2D"}}}),
               {"CrossAttnDownBlock2D and DownBlock2D"});
  expect_parts(error({{"down_block_types", json::array({"DownBlock2D"})}}),
               {"1 entries", "block_out_channels has 2"});
  expect_parts(error({{"up_block_types", "UpBlock2D"}}), {"a list of"});
  expect_parts(error({{"attention_head_dim", {1, 2, 3}}}), {"3 entries"});
  expect_parts(error({{"attention_head_dim", 17}}), {"at most", "16"});
  expect_parts(error({{"downsample_padding", 2}}), {"at most 1"});
  expect_parts(error_of([] { UnetConfig::from_json(json(3), "b.json"); }),
               {"b.json", "number"});
  json odd = small_unet_config().to_json();
  odd.update({{"block_out_channels", {9, 18}}, {"norm_num_groups", 3}});
  expect_parts(error_of([&] { UnetConfig::from_json(odd, "x"); }),
               {"block_out_channels begins with 9"});
}

TEST(UnetConfig, ReadsWhatConvertedCheckpointsHold) {
  auto config = UnetConfig().to_json();
  const auto plain = UnetConfig::from_json(config, "config.json").to_json();
  config["upcast_attention"] = nullptr;
  config["transformer_layers_per_block"] = {1, 1, 1, 1};
  config["only_cross_attention"] = {false, false, false, false};
  EXPECT_EQ(UnetConfig::from_json(config, "config.json").to_json(), plain);
  config["transformer_layers_per_block"] = {1, 2, 1, 1};
  expect_parts(error_of([&] { UnetConfig::from_json(config, "config.json"); }),
               {"transformer_layers_per_block", "[1,2,1,1]"});
}

}  // namespace
}  // namespace rsm
