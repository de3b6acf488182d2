#include "rsm/models/autoencoder_kl_config.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/models/config_limits.h"
#include "rsm/models/fixed_fields.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kDownBlock = "DownEncoderBlock2D";
constexpr const char* kUpBlock = "UpDecoderBlock2D";

/** diffusers' fields of which only the default is supported. */
const json& kl_fixed_fields() {
  static const json fields = {{"act_fn", "silu"},
                              {"down_block_types", kDownBlock},
                              {"latents_mean", nullptr},
                              {"latents_std", nullptr},
                              {"up_block_types", kUpBlock}};
  return fields;
}

constexpr int64_t kLargestPicture = 1 << 16;  ///< its side

/** One block a level: without a list, diffusers has one level. */
void check_levels(const JsonFields& fields, const AutoencoderKlConfig& c) {
  const size_t levels = c.block_out_channels.size();
  fields.check("block_out_channels", levels > 0,
               "a list of one integer a level");
  for (const char* key : {"down_block_types", "up_block_types"}) {
    const json& names = fields.value(key);
    const size_t count = names.is_array() ? names.size() : 1;
    RSM_CHECK(count == levels, fields.where(), ": ", key, " has ", count,
              " entries; block_out_channels has ", levels,
              ": one a level is needed");
  }
  for (const int64_t channels : c.block_out_channels) {
    RSM_CHECK(channels % c.norm_num_groups == 0, fields.where(),
              ": block_out_channels has ", channels,
              "; a multiple of norm_num_groups = ", c.norm_num_groups,
              " is needed");
  }
}

}  // namespace

LatentSpace AutoencoderKlConfig::space() const {
  return {latent_channels, int64_t{1} << (block_out_channels.size() - 1),
          scaling_factor, shift_factor};
}

AutoencoderKlConfig AutoencoderKlConfig::from_json(const json& from,
                                                   const std::string& origin) {
  const JsonFields fields(from, "[AutoencoderKlConfig] " + origin);
  AutoencoderKlConfig c;
  check_fixed_fields(fields, c.to_json(), kl_fixed_fields(),
                     "Stable Diffusion");
  fields.integer("in_channels", c.in_channels, 3, 3);
  fields.integer("out_channels", c.out_channels, 3, 3);
  fields.integer("latent_channels", c.latent_channels, 1, kWidest);
  fields.integers("block_out_channels", c.block_out_channels, 1, kWidest,
                  kMostLevels);
  fields.integer("layers_per_block", c.layers_per_block, 1, kMostLayers);
  fields.integer("norm_num_groups", c.norm_num_groups, 1, kWidest);
  fields.integer("sample_size", c.sample_size, 1, kLargestPicture);
  fields.number_above("scaling_factor", c.scaling_factor, 0, kMostFactor);
  if (!fields.value("shift_factor").is_null()) {
    fields.number_above("shift_factor", c.shift_factor, -kMostFactor,
                        kMostFactor);
  }
  fields.truth("force_upcast", c.force_upcast);
  fields.truth("use_quant_conv", c.use_quant_conv);
  fields.truth("use_post_quant_conv", c.use_post_quant_conv);
  fields.truth("mid_block_add_attention", c.mid_block_add_attention);
  check_levels(fields, c);
  return c;
}

TensorShapes AutoencoderKlConfig::anchors() const {
  const int64_t first = block_out_channels.front();
  const int64_t levels = static_cast<int64_t>(block_out_channels.size());
  TensorShapes found = {
      {"decoder.conv_in.weight",
       {block_out_channels.back(), latent_channels, 3, 3}},
      {"decoder.conv_out.weight", {out_channels, first, 3, 3}},
      {"encoder.conv_in.weight", {first, in_channels, 3, 3}}};
  for (int64_t i = 0; i < levels; ++i) {
    const int64_t channels = block_out_channels[i];
    const std::vector<int64_t> shape = {channels, channels, 3, 3};
    found[cat("encoder.down_blocks.", i, ".resnets.", layers_per_block - 1,
              ".conv2.weight")] = shape;
    found[cat("decoder.up_blocks.", levels - 1 - i, ".resnets.",
              layers_per_block, ".conv2.weight")] = shape;
  }
  return found;
}

json AutoencoderKlConfig::to_json() const {
  const size_t levels = block_out_channels.size();
  return {
      {"_class_name", "AutoencoderKL"},
      {"_diffusers_version", "0.42.1"},
      {"in_channels", in_channels},
      {"out_channels", out_channels},
      {"latent_channels", latent_channels},
      {"block_out_channels", block_out_channels},
      {"down_block_types", std::vector<std::string>(levels, kDownBlock)},
      {"up_block_types", std::vector<std::string>(levels, kUpBlock)},
      {"layers_per_block", layers_per_block},
      {"norm_num_groups", norm_num_groups},
      {"sample_size", sample_size},
      {"scaling_factor", scaling_factor},
      {"shift_factor", shift_factor == 0 ? json(nullptr) : json(shift_factor)},
      {"force_upcast", force_upcast},
      {"use_quant_conv", use_quant_conv},
      {"use_post_quant_conv", use_post_quant_conv},
      {"mid_block_add_attention", mid_block_add_attention}};
}

}  // namespace rsm
