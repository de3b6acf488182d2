#include "rsm/models/autoencoder_tiny.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "rsm/io/testing.h"
#include "rsm/models/autoencoder_testing.h"
#include "rsm/models/vae.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

using nlohmann::json;
using Ways = AutoencoderModule::Ways;

TEST(AutoencoderTiny, IsThatOfDiffusers) {
  const TemporaryFolder folder;
  run_python("autoencoder_peer.py", "tiny " + folder.path());
  ASSERT_EQ(folder.entries(), 4);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (!entry.is_directory()) continue;
    const auto path = entry.path().string();
    const auto model = load_autoencoder(path, Ways::both);
    expect_peer(*model, path, [&](const torch::Tensor& pictures) {
      return model->encode(pictures);
    });
  }
  const json defaults = read_json(folder / "defaults.json");
  const json own = AutoencoderTinyConfig().to_json();
  for (const auto& [key, value] : own.items()) {
    // diffusers writes block_out_channels, and takes it from the decoder's.
    if (key.starts_with("_") || key == "block_out_channels") continue;
    EXPECT_EQ(value, defaults.at(key)) << key;
  }
  EXPECT_EQ(AutoencoderTinyConfig::from_json(defaults, "x").to_json(), own);
  EXPECT_EQ(AutoencoderTinyConfig::from_json(json::object(), "x").to_json(),
            own);
}

TEST(AutoencoderTiny, RefusesWhatItCannotBe) {
  const auto error = [](const json& change) {
    json config = small_tiny_config().to_json();
    config.update(change);
    const auto text = error_of(
        [&] { AutoencoderTinyConfig::from_json(config, "a/config.json"); });
    expect_parts(
        text, {"[AutoencoderTinyConfig] a/config.json", change.begin().key()});
    return text;
  };
  for (const json& change : std::vector<json>{{{"act_fn", "gelu"}},
                                              {{"upsample_fn", "bilinear"}},
                                              {{"in_channels", 4}},
                                              {{"force_upcast", true}}}) {
    expect_parts(error(change), {"only", "TAESD"});
  }
  expect_parts(error({{"latent_channel", 4}}), {"latent_channels"});
  expect_parts(error({{"num_decoder_blocks", {1, 1, 1}}}),
               {"2 integers", "num_encoder_blocks"});
  expect_parts(error({{"decoder_block_out_channels", {8, 16}}}),
               {"the same width"});
  expect_parts(error({{"encoder_block_out_channels", json::array()}}),
               {"the same width"});
  expect_parts(error({{"num_encoder_blocks", {1, 1 << 20}}}), {"at most 64"});
  const json small = small_tiny_config().to_json();
  EXPECT_EQ(AutoencoderTinyConfig::from_json(small, "x").to_json(), small);
}

/** TAEF2 with its published weights; null where they are not there. */
std::shared_ptr<AutoencoderTinyImpl> taef2() {
  const std::string base = assets() + "/vae/taef2_";
  if (!std::filesystem::exists(base + "encoder.safetensors")) return nullptr;
  AutoencoderTinyConfig config;
  config.latent_channels = 32;
  config.pooled_blocks = true;
  auto model = std::make_shared<AutoencoderTinyImpl>(config);
  load_parameters(*model,
                  autoencoder_tiny_names(
                      view_safetensors(base + "encoder.safetensors").tensors,
                      view_safetensors(base + "decoder.safetensors").tensors),
                  "taef2");
  return model;
}

/** Six pictures of the shapes world and a smooth one, [7,3,256,256]. */
torch::Tensor test_pictures() {
  shapes::Engine engine(4);
  std::vector<torch::Tensor> drawn;
  for (size_t i = 0; i < 6; ++i) {
    drawn.push_back(shapes::draw(shapes::all_specs()[100 * i], engine));
  }
  const auto large =
      at::upsample_bilinear2d(at::stack(drawn), {256, 256}, false);
  const auto wave = at::linspace(-3, 3, 256).sin();
  const auto smooth = at::stack({wave.unsqueeze(0).expand({256, 256}),
                                 wave.unsqueeze(1).expand({256, 256}),
                                 wave.unsqueeze(0) * wave.unsqueeze(1)});
  return at::cat({large, smooth.unsqueeze(0)});
}

/** Peak signal over mean squared error in decibels, of pictures in [-1,1]. */
double psnr(const torch::Tensor& a, const torch::Tensor& b) {
  return 10 * std::log10(4 / (a - b).square().mean().item<double>());
}

TEST(AutoencoderTiny, Taef2GivesPicturesBack) {
  const auto model = taef2();
  if (model == nullptr) GTEST_SKIP() << "no $RSM_ASSETS/vae/taef2_*";
  const torch::NoGradGuard no_grad;
  const auto pictures = test_pictures();
  const auto latents = model->encode(pictures);
  EXPECT_EQ(latents.sizes().vec(), (std::vector<int64_t>{7, 32, 32, 32}));
  const auto back = model->decode(latents).clamp(-1, 1);
  const auto other = model->decode(latents.roll(1, 1)).clamp(-1, 1);
  for (int64_t i = 0; i < pictures.size(0); ++i) {
    const double found = psnr(back[i], pictures[i]);
    EXPECT_GT(found, 24) << i;  // 24 to 32 dB are said of photos
    EXPECT_GT(found, psnr(other[i], pictures[i]) + 12) << i;
  }
}

TEST(AutoencoderTiny, OtherFilesThanTaesdsAreNamed) {
  expect_parts(
      error_of([] {
        autoencoder_tiny_names({{"layers.0.weight", at::zeros(1)}}, {});
      }),
      {"layers.0.weight", "madebyollin/taesd"});
  expect_parts(error_of([] {
                 autoencoder_tiny_names({}, {{"0.bias", at::zeros(1)}});
               }),
               {"0.bias"});
}

}  // namespace
}  // namespace rsm
