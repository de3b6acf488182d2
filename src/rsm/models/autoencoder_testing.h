#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/models/autoencoder_kl.h"
#include "rsm/models/autoencoder_tiny.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

/** What tests of autoencoders share; no part of the library includes this. */
namespace rsm {

/** Two levels, tiles of 8 latents. */
inline AutoencoderKlConfig small_kl_config() {
  AutoencoderKlConfig config;
  config.block_out_channels = {8, 16};
  config.norm_num_groups = 4;
  config.sample_size = 16;
  config.scaling_factor = 1.5;
  config.shift_factor = 0.25;
  return config;
}

inline AutoencoderTinyConfig small_tiny_config() {
  AutoencoderTinyConfig config;
  config.width = 8;
  config.num_encoder_blocks = {1, 2};
  config.num_decoder_blocks = {2, 1};
  return config;
}

/** Every parameter normal, so that no part of the network is silent. */
inline void randomise(AutoencoderModule& autoencoder) {
  const torch::NoGradGuard no_grad;
  uint64_t index = 300;
  for (auto& p : autoencoder.parameters()) {
    const double fan_in = static_cast<double>(p.numel() / p.size(0));
    p.copy_(test_normal(index++, p.sizes()) *
            (p.dim() > 1 ? 1 / std::sqrt(fan_in) : 0.5));
  }
}

/** Some of its pixels lie beyond [-1,1]. */
inline Autoencoder random_kl() {
  const torch::NoGradGuard no_grad;
  auto out = std::make_shared<AutoencoderKlImpl>(small_kl_config());
  randomise(*out);
  out->named_parameters()["decoder.conv_out.weight"].mul_(4);
  return out;
}

inline Autoencoder random_tiny() {
  auto out = std::make_shared<AutoencoderTinyImpl>(small_tiny_config());
  randomise(*out);
  return out;
}

/** As diffusers saves it. */
inline void save_autoencoder(const std::string& folder,
                             const AutoencoderModule& autoencoder) {
  std::filesystem::create_directories(folder);
  write_json_atomic(folder + "/config.json", autoencoder.config_json());
  write_safetensors(folder + "/diffusion_pytorch_model.safetensors",
                    state_dict(autoencoder), {{"format", "pt"}});
}

/** Outputs of the folders that autoencoder_peer.py wrote, compared. */
inline void expect_peer(
    AutoencoderModule& model, const std::string& folder,
    const std::function<torch::Tensor(const torch::Tensor&)>& encoded) {
  SCOPED_TRACE(folder);
  // Sums of a few dozen rounded products in each of a dozen layers.
  constexpr double kHalf = 2e-2;
  constexpr double kTiles = 1e-4;
  constexpr double kDouble = 1e-11;
  at::set_num_threads(1);
  const auto peer = read_safetensors(folder + "/peer.safetensors").tensors;
  const auto& latents = peer.at("latents");
  {
    const torch::NoGradGuard no_grad;
    EXPECT_LT(relative(model.decode(latents), peer.at("rough")),
              kFloatTolerance);
    EXPECT_LT(relative(encoded(peer.at("pictures")), peer.at("encoded")),
              kFloatTolerance);
    if (peer.contains("wide")) {
      EXPECT_LT(relative(model.decode_tiled(peer.at("wide")), peer.at("tiled")),
                kTiles);
    }
  }
  const auto compare = [&](torch::ScalarType type, double tolerance,
                           double gradient_tolerance) {
    const auto leaf = latents.to(type, false, true).requires_grad_(true);
    const auto out = model.decode(leaf);
    EXPECT_LT(relative(out.to(at::kDouble), peer.at("out")), tolerance);
    (out * peer.at("weight").to(type)).sum().backward();
    EXPECT_LT(relative(leaf.grad().to(at::kDouble), peer.at("grad.latents")),
              gradient_tolerance);
  };
  compare(at::kFloat, kFloatTolerance, kFloatTolerance);
  const auto copy = model.fresh(AutoencoderModule::Ways::both);
  load_parameters(*copy, state_dict(model), "test");
  copy->to(at::kBFloat16);
  EXPECT_LT(relative(copy->decode(latents.to(at::kBFloat16)).to(at::kFloat),
                     peer.at("half")),
            kHalf);
  model.to(at::kDouble);
  compare(at::kDouble, kDouble, kDouble);
}

/** The folder that RSM_ASSETS names, "" without. */
inline std::string assets() {
  const char* folder = std::getenv("RSM_ASSETS");
  return folder == nullptr ? "" : folder;
}

}  // namespace rsm
