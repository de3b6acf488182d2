#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/io/safetensors.h"
#include "rsm/models/autoencoder.h"

namespace rsm {

/** Fields of diffusers' AutoencoderKL config.json that Stable Diffusion sets,
 * same defaults. */
struct AutoencoderKlConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> block_out_channels = {64};  ///< one a level
  int64_t layers_per_block = 1;
  int64_t norm_num_groups = 32;
  /** Side of a tile in pixels; pictures of any size are computed. */
  int64_t sample_size = 32;
  double scaling_factor = 0.18215;
  double shift_factor = 0;  ///< null is 0
  bool force_upcast = true;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  LatentSpace space() const;

  /** Throws rsm::Error naming `origin` and the key for a wrong or unknown
   * field, one that asks for another kind of autoencoder than this, or numbers
   * out of range. */
  static AutoencoderKlConfig from_json(const nlohmann::json& json,
                                       const std::string& origin);
  nlohmann::json to_json() const;

  /** Names and shapes of a few tensors, with every width and count in them:
   * what they are compared with bounds what an autoencoder of this config
   * takes. */
  TensorShapes anchors() const;
};

}  // namespace rsm
