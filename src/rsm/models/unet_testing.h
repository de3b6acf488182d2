#pragma once

#include <nlohmann/json.hpp>

#include "rsm/models/testing.h"
#include "rsm/models/unet.h"

/** What tests of the UNet share; no part of the library includes this. */
namespace rsm {

/** Two levels of three and two heads; odd sides do not halve evenly. */
inline UnetConfig small_unet_config() {
  UnetConfig config;
  config.in_channels = 3;
  config.out_channels = 3;
  config.block_out_channels = {16, 32};
  config.down_attention = {true, false};
  config.up_attention = {true, true};
  config.layers_per_block = 1;
  config.norm_num_groups = 8;
  config.cross_attention_dim = 10;
  config.heads = {3, 2};
  return config;
}

inline Unet random_unet() {
  Unet model(small_unet_config());
  fill(*model, 100, 0.1, 0.5);
  return model;
}

/** unet/config.json of stable-diffusion-v1-5, written by diffusers 0.6. */
inline nlohmann::json sd15_unet_json() {
  return {{"_class_name", "UNet2DConditionModel"},
          {"_diffusers_version", "0.6.0"},
          {"act_fn", "silu"},
          {"attention_head_dim", 8},
          {"block_out_channels", {320, 640, 1280, 1280}},
          {"center_input_sample", false},
          {"cross_attention_dim", 768},
          {"down_block_types",
           {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D", "DownBlock2D"}},
          {"downsample_padding", 1},
          {"flip_sin_to_cos", true},
          {"freq_shift", 0},
          {"in_channels", 4},
          {"layers_per_block", 2},
          {"mid_block_scale_factor", 1},
          {"norm_eps", 1e-05},
          {"norm_num_groups", 32},
          {"out_channels", 4},
          {"sample_size", 64},
          {"up_block_types",
           {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D"}}};
}

}  // namespace rsm
