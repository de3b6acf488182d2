#include "rsm/models/autoencoder_kl.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "rsm/io/json_fields.h"
#include "rsm/io/testing.h"
#include "rsm/models/autoencoder_testing.h"
#include "rsm/models/vae.h"

namespace rsm {
namespace {

using nlohmann::json;
using Ways = AutoencoderModule::Ways;

const std::vector<std::string> kPublished = {
    "/configs/runwayml/stable-diffusion-v1-5/vae/config.json",
    "/configs/stabilityai/stable-diffusion-3-medium-diffusers/vae/"
    "config.json"};

std::shared_ptr<AutoencoderKlImpl> kl(const Autoencoder& autoencoder) {
  return std::dynamic_pointer_cast<AutoencoderKlImpl>(autoencoder);
}

TEST(AutoencoderKl, IsThatOfDiffusers) {
  const TemporaryFolder folder;
  run_python("autoencoder_peer.py", "kl " + folder.path());
  ASSERT_EQ(folder.entries(), 7);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (!entry.is_directory()) continue;
    const auto path = entry.path().string();
    const auto model = kl(load_autoencoder(path, Ways::both));
    expect_peer(*model, path, [&](const torch::Tensor& pictures) {
      return model->moments(pictures);
    });
  }
  const json defaults = read_json(folder / "defaults.json");
  const json own = AutoencoderKlConfig().to_json();
  for (const auto& [key, value] : own.items()) {
    if (key.starts_with("_")) continue;
    EXPECT_EQ(value, defaults.at(key)) << key;
  }
  // Every key of diffusers is known, and its default allowed.
  EXPECT_EQ(AutoencoderKlConfig::from_json(defaults, "x").to_json(), own);
  EXPECT_EQ(AutoencoderKlConfig::from_json(json::object(), "x").to_json(), own);
}

// No weight is written, so the system never hands out their memory.
TEST(AutoencoderKl, HasTheParametersOfThePublishedConfigs) {
  if (assets().empty()) GTEST_SKIP() << "RSM_ASSETS names no folder";
  const TemporaryFolder folder;
  std::string arguments = "shapes " + folder / "shapes.json";
  for (const auto& file : kPublished) {
    if (!std::filesystem::exists(assets() + file)) {
      GTEST_SKIP() << assets() + file << " is missing";
    }
    arguments += " " + assets() + file;
  }
  run_python("autoencoder_peer.py", arguments);
  if (HasFailure()) return;
  json shapes = json::array();
  for (const auto& file : kPublished) {
    const auto config =
        AutoencoderKlConfig::from_json(read_python_json(assets() + file), file);
    EXPECT_EQ(config.space().scale, 8);
    const AutoencoderKl model(config);
    const auto anchors = config.anchors();
    auto& own = shapes.emplace_back();
    for (const auto& [name, tensor] : state_dict(*model)) {
      own[name] = tensor.sizes().vec();
    }
    for (const auto& [name, shape] : anchors) {
      EXPECT_EQ(own.value(name, json()), json(shape)) << name;
    }
    const AutoencoderKl half(config, Ways::decoder);
    for (const auto& [name, tensor] : state_dict(*half)) {
      EXPECT_FALSE(name.starts_with("encoder") || name.starts_with("quant"));
    }
  }
  EXPECT_EQ(shapes, read_json(folder / "shapes.json"));
}

TEST(AutoencoderKl, ReadsTheNamesOf2022) {
  const auto model = kl(random_kl());
  StateDict old;
  for (const auto& [name, tensor] : state_dict(*model)) {
    std::string own = name;
    bool is_weight = false;
    for (const auto& [now, then] :
         std::vector<std::pair<std::string, std::string>>{
             {".to_q.", ".query."},
             {".to_k.", ".key."},
             {".to_v.", ".value."},
             {".to_out.0.", ".proj_attn."}}) {
      const size_t at = own.find(now);
      if (at == std::string::npos) continue;
      own.replace(at, now.size(), then);
      is_weight = name.ends_with("weight");
    }
    old[own] = is_weight ? tensor.unsqueeze(2).unsqueeze(3) : tensor;
  }
  EXPECT_TRUE(old.contains("decoder.mid_block.attentions.0.proj_attn.bias"));
  const auto found = autoencoder_kl_names(old);
  const auto wanted = state_dict(*model);
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    EXPECT_TRUE(found.at(name).equal(tensor)) << name;
  }
}

TEST(AutoencoderKl, RefusesOtherShapes) {
  const auto model = random_kl();
  expect_parts(error_of([&] {
                 model->decode(at::zeros({1, 3, 4, 4}));
               }),
               {"[1, 3, 4, 4]", "[B,4,h,w]"});
  expect_parts(error_of([&] {
                 model->decode_tiled(at::zeros({4, 4, 4}));
               }),
               {"[4, 4, 4]", "[B,4,h,w]"});
  expect_parts(error_of([&] {
                 model->decode(at::zeros({0, 4, 4, 4}));
               }),
               {"[B,4,h,w]"});
  expect_parts(error_of([&] {
                 model->encode(at::zeros({1, 3, 4, 5}));
               }),
               {"multiples of 2"});
  expect_parts(error_of([&] {
                 model->fresh(Ways::decoder)->encode(at::zeros({1, 3, 4, 4}));
               }),
               {"only the decoder"});
  auto config = small_kl_config();
  config.sample_size = 20;
  AutoencoderKl odd(config);
  expect_parts(error_of([&] {
                 odd->decode_tiled(at::zeros({1, 4, 4, 4}));
               }),
               {"sample_size is 20", "multiple of 8"});
}

/** The error about small_kl_config() with one field changed; it names the key.
 */
std::string config_error(const json& change) {
  json config = small_kl_config().to_json();
  config.update(change);
  const auto text = error_of(
      [&] { AutoencoderKlConfig::from_json(config, "a/config.json"); });
  expect_parts(text,
               {"[AutoencoderKlConfig] a/config.json", change.begin().key()});
  return text;
}

TEST(AutoencoderKlConfig, ComesBackFromJson) {
  const json small = small_kl_config().to_json();
  EXPECT_EQ(AutoencoderKlConfig::from_json(small, "x").to_json(), small);
  json plain = small;
  plain["shift_factor"] = nullptr;
  const auto config = AutoencoderKlConfig::from_json(plain, "x");
  EXPECT_EQ(config.shift_factor, 0);
  EXPECT_EQ(config.to_json(), plain);
}

TEST(AutoencoderKlConfig, OfAnotherKindIsAnError) {
  const std::vector<json> others = {
      {{"act_fn", "relu"}},
      {{"latents_mean", {0.1}}},
      {{"latents_std", {0.1}}},
      {{"down_block_types", {"AttnDownEncoderBlock2D", "DownEncoderBlock2D"}}},
      {{"up_block_types", {"UpDecoderBlock2D", "AttnUpDecoderBlock2D"}}}};
  for (const auto& change : others) {
    expect_parts(config_error(change),
                 {"only", "is supported", change.begin().value().dump()});
  }
}

TEST(AutoencoderKlConfig, ThatIsImpossibleIsAnError) {
  const auto& error = config_error;
  expect_parts(error({{"layer_per_block", 2}}),
               {"did you mean \"layers_per_block\""});
  expect_parts(error({{"layers_per_block", 0}}), {"at least 1"});
  expect_parts(error({{"latent_channels", int64_t{1} << 62}}), {"at most"});
  expect_parts(error({{"in_channels", 4}}), {"at most 3"});
  expect_parts(error({{"scaling_factor", 0}}), {"above 0"});
  expect_parts(error({{"scaling_factor", nullptr}}), {"above 0"});
  expect_parts(error({{"shift_factor", "1"}}), {"number"});
  expect_parts(error({{"force_upcast", 1}}), {"true or false"});
  expect_parts(error({{"block_out_channels", json::array()}}), {"list"});
  expect_parts(error({{"block_out_channels", {8, 6}}}),
               {"6", "norm_num_groups = 4"});
  expect_parts(error({{"up_block_types", {"UpDecoderBlock2D"}}}),
               {"1 entries", "block_out_channels has 2"});
  expect_parts(error({{"sample_size", {16, 16}}}), {"integer"});
}

}  // namespace
}  // namespace rsm
