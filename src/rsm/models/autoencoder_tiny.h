#pragma once

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/base/state_dict.h"
#include "rsm/io/safetensors.h"
#include "rsm/models/autoencoder.h"

namespace rsm {

/** Fields of diffusers' AutoencoderTiny config.json, same defaults. */
struct AutoencoderTinyConfig {
  int64_t latent_channels = 4;
  /** encoder_block_out_channels and decoder_block_out_channels: the same
   * everywhere, as no layer changes it. */
  int64_t width = 64;
  /** Blocks by level: pictures first in the encoder, last in the decoder. */
  std::vector<int64_t> num_encoder_blocks = {1, 3, 3, 3};
  std::vector<int64_t> num_decoder_blocks = {3, 3, 3, 1};
  /** How latents are stored as bytes, which no pipeline does. */
  double latent_magnitude = 3;
  double latent_shift = 0.5;
  double scaling_factor = 1;
  double shift_factor = 0;
  /** No field of diffusers': TAEF2's blocks at the lowest resolution. */
  bool pooled_blocks = false;

  LatentSpace space() const;

  /** Throws rsm::Error naming `origin` and the key for a wrong or unknown
   * field, one that asks for another kind of autoencoder than this, or numbers
   * out of range. */
  static AutoencoderTinyConfig from_json(const nlohmann::json& json,
                                         const std::string& origin);
  nlohmann::json to_json() const;

  /** See AutoencoderKlConfig::anchors. */
  TensorShapes anchors() const;
};

/** diffusers' AutoencoderTiny: TAESD, TAESD3 and, with pooled blocks, TAEF2.
 * Source: madebyollin/taesd, taesd.py; diffusers, models/autoencoders. */
class AutoencoderTinyImpl : public AutoencoderModule {
 public:
  /** The weights are arbitrary until they are set. */
  explicit AutoencoderTinyImpl(const AutoencoderTinyConfig& config,
                               Ways ways = Ways::both);

  const AutoencoderTinyConfig& config() const { return config_; }

  torch::Tensor encode(const torch::Tensor& pictures) override;
  torch::Tensor decode(const torch::Tensor& latents) override;
  torch::Tensor decode_tiled(const torch::Tensor& latents) override;
  LatentSpace space() const override { return config_.space(); }
  bool overflows_in_float16() const override { return false; }
  std::shared_ptr<AutoencoderModule> fresh(Ways ways) const override;
  nlohmann::json config_json() const override;

 private:
  AutoencoderTinyConfig config_;
  torch::nn::Sequential encoder_{nullptr}, decoder_{nullptr};
};
TORCH_MODULE(AutoencoderTiny);

/** Tensors of the two files that madebyollin/taesd publishes under this
 * module's names. */
StateDict autoencoder_tiny_names(const StateDict& encoder,
                                 const StateDict& decoder);

}  // namespace rsm
