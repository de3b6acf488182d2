#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rsm/io/safetensors.h"

namespace rsm {

/** Fields of diffusers' UNet2DConditionModel config.json that Stable Diffusion
 * 1.x sets, same defaults. Lists have one entry a level. */
struct UnetConfig {
  /** Side of the latents it was trained on; any other size is computed too. */
  std::optional<int64_t> sample_size;
  int64_t in_channels = 4;
  int64_t out_channels = 4;
  bool center_input_sample = false;  ///< takes 2 x - 1 for x
  bool flip_sin_to_cos = true;       ///< time features: cosines first
  int64_t freq_shift = 0;
  std::vector<int64_t> block_out_channels = {320, 640, 1280, 1280};
  /** down_block_types: CrossAttnDownBlock2D (true) or DownBlock2D. */
  std::vector<bool> down_attention = {true, true, true, false};
  /** up_block_types, coarsest level first: CrossAttnUpBlock2D or UpBlock2D. */
  std::vector<bool> up_attention = {false, true, true, true};
  int64_t layers_per_block = 2;
  int64_t downsample_padding = 1;  ///< 0: one row and column at the far ends
  double mid_block_scale_factor = 1;
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;
  int64_t cross_attention_dim = 1280;
  /** attention_head_dim, which in this model's configs is the NUMBER of heads,
   * whatever it is called; a head has width channels / heads, rounded down. */
  std::vector<int64_t> heads = {8, 8, 8, 8};

  int64_t levels() const {
    return static_cast<int64_t>(block_out_channels.size());
  }
  int64_t time_dim() const { return 4 * block_out_channels.front(); }

  /** Throws rsm::Error naming `origin` and the key for a wrong or unknown
   * field, one that asks for another kind of UNet than this, numbers out of
   * range, or sizes that contradict each other. */
  static UnetConfig from_json(const nlohmann::json& json,
                              const std::string& origin);
  nlohmann::json to_json() const;

  /** Names and shapes of a few tensors, with every width and count in them:
   * what they are compared with bounds what a network of this config takes. */
  TensorShapes anchors() const;
};

}  // namespace rsm
