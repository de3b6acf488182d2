#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/io/safetensors.h"

namespace rsm {

/** Fields of diffusers' SD3Transformer2DModel config.json, same defaults. */
struct Sd3Config {
  int64_t sample_size = 128;
  int64_t patch_size = 2;
  int64_t in_channels = 16;
  int64_t num_layers = 18;
  int64_t attention_head_dim = 64;
  int64_t num_attention_heads = 18;
  int64_t joint_attention_dim = 4096;
  int64_t caption_projection_dim = 1152;
  int64_t pooled_projection_dim = 2048;
  int64_t out_channels = 16;
  int64_t pos_embed_max_size = 96;
  std::vector<int64_t> dual_attention_layers;  ///< SD3.5-medium: 0..12
  bool qk_rms_norm = false;                    ///< qk_norm: "rms_norm"

  int64_t inner_dim() const { return num_attention_heads * attention_head_dim; }

  /** Throws rsm::Error naming `origin` and the key for a wrong or unknown
   * field, numbers out of range, or sizes that contradict each other. */
  static Sd3Config from_json(const nlohmann::json& json,
                             const std::string& origin);
  nlohmann::json to_json() const;

  /** Names and shapes of a few tensors, with every width and count in them:
   * what they are compared with bounds what a network of this config takes. */
  TensorShapes anchors() const;
};

}  // namespace rsm
