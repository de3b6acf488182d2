#include "rsm/models/unet_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/models/config_limits.h"
#include "rsm/models/fixed_fields.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr std::string_view kPlainDown = "DownBlock2D";
constexpr std::string_view kPlainUp = "UpBlock2D";
constexpr std::string_view kCross = "CrossAttn";

/** diffusers' fields of which only the default is supported. */
const json& unet_fixed_fields() {
  static const json fields = {
      {"act_fn", "silu"},
      {"addition_embed_type", nullptr},
      {"addition_embed_type_num_heads", 64},
      {"addition_time_embed_dim", nullptr},
      {"attention_type", "default"},
      {"class_embed_type", nullptr},
      {"class_embeddings_concat", false},
      {"conv_in_kernel", 3},
      {"conv_out_kernel", 3},
      {"cross_attention_norm", nullptr},
      {"dropout", 0.0},
      {"dual_cross_attention", false},
      {"encoder_hid_dim", nullptr},
      {"encoder_hid_dim_type", nullptr},
      {"mid_block_only_cross_attention", nullptr},
      {"mid_block_type", "UNetMidBlock2DCrossAttn"},
      {"num_attention_heads", nullptr},
      {"num_class_embeds", nullptr},
      {"only_cross_attention", false},
      {"projection_class_embeddings_input_dim", nullptr},
      {"resnet_out_scale_factor", 1.0},
      {"resnet_skip_time_act", false},
      {"resnet_time_scale_shift", "default"},
      {"reverse_transformer_layers_per_block", nullptr},
      {"time_cond_proj_dim", nullptr},
      {"time_embedding_act_fn", nullptr},
      {"time_embedding_dim", nullptr},
      {"time_embedding_type", "positional"},
      {"timestep_post_act", nullptr},
      {"transformer_layers_per_block", 1},
      {"upcast_attention", false},
      {"use_linear_projection", false}};
  return fields;
}

/** Names of blocks -> whether they attend to the text. */
void read_blocks(const JsonFields& fields, const char* key,
                 std::string_view plain, std::vector<bool>& value) {
  if (!fields.has(key)) return;
  const json& given = fields.value(key);
  const std::string attending = cat(kCross, plain);
  const auto known = [&](const json& i) {
    return i == attending || i == plain;
  };
  fields.check(key,
               given.is_array() && given.size() <= kMostLevels &&
                   std::all_of(given.begin(), given.end(), known),
               cat("a list of ", attending, " and ", plain));
  value.clear();
  for (const auto& name : given) {
    value.push_back(name == attending);
  }
}

void check_levels(const UnetConfig& c, const std::string& where) {
  const auto count = [&](const char* key, size_t size) {
    RSM_CHECK(static_cast<int64_t>(size) == c.levels(), where, ": ", key,
              " has ", size, " entries; block_out_channels has ", c.levels(),
              ": one a level is needed");
  };
  count("down_block_types", c.down_attention.size());
  count("up_block_types", c.up_attention.size());
  count("attention_head_dim", c.heads.size());
  for (size_t i = 0; i < c.heads.size(); ++i) {
    const int64_t channels = c.block_out_channels[i];
    RSM_CHECK(channels % c.norm_num_groups == 0, where,
              ": block_out_channels has ", channels,
              "; a multiple of norm_num_groups = ", c.norm_num_groups,
              " is needed");
    RSM_CHECK(c.heads[i] <= channels, where,
              ": attention_head_dim (the number of heads) is ", c.heads[i],
              "; at most the level's channels, ", channels, ", is needed");
  }
}

void check_sizes(const UnetConfig& c, const std::string& where) {
  check_levels(c, where);
  const int64_t first = c.block_out_channels.front();
  RSM_CHECK(first % 2 == 0 && c.freq_shift < first / 2, where,
            ": block_out_channels begins with ", first, ", freq_shift is ",
            c.freq_shift,
            "; half the channels must be whole and above freq_shift");
}

json block_names(const std::vector<bool>& attention, std::string_view plain) {
  json names = json::array();
  for (const bool attends : attention) {
    names.push_back(attends ? cat(kCross, plain) : std::string(plain));
  }
  return names;
}

}  // namespace

UnetConfig UnetConfig::from_json(const json& from, const std::string& origin) {
  const JsonFields fields(from, "[UnetConfig] " + origin);
  check_fixed_fields(fields, UnetConfig().to_json(), unet_fixed_fields(),
                     "Stable Diffusion 1.5");
  UnetConfig c;
  if (fields.has("sample_size") && !fields.value("sample_size").is_null()) {
    fields.integer("sample_size", c.sample_size.emplace(), 1, kLargestSide);
  }
  fields.integer("in_channels", c.in_channels, 1, kWidest);
  fields.integer("out_channels", c.out_channels, 1, kWidest);
  fields.truth("center_input_sample", c.center_input_sample);
  fields.truth("flip_sin_to_cos", c.flip_sin_to_cos);
  fields.integer("freq_shift", c.freq_shift, 0, kWidest);
  fields.integers("block_out_channels", c.block_out_channels, 1, kWidest,
                  kMostLevels);
  fields.check("block_out_channels", !c.block_out_channels.empty(),
               "a list of one integer a level");
  read_blocks(fields, "down_block_types", kPlainDown, c.down_attention);
  read_blocks(fields, "up_block_types", kPlainUp, c.up_attention);
  fields.integer("layers_per_block", c.layers_per_block, 1, kMostLayers);
  fields.integer("downsample_padding", c.downsample_padding, 0, 1);
  fields.number_above("mid_block_scale_factor", c.mid_block_scale_factor, 0,
                      1e6);
  fields.integer("norm_num_groups", c.norm_num_groups, 1, kWidest);
  fields.number_above("norm_eps", c.norm_eps, 0, 1);
  fields.integer("cross_attention_dim", c.cross_attention_dim, 1, kWidest);
  if (fields.value("attention_head_dim").is_array()) {
    fields.integers("attention_head_dim", c.heads, 1, kWidest, kMostLevels);
  } else {
    int64_t everywhere = c.heads.front();
    fields.integer("attention_head_dim", everywhere, 1, kWidest);
    c.heads.assign(c.block_out_channels.size(), everywhere);
  }
  check_sizes(c, fields.where());
  return c;
}

TensorShapes UnetConfig::anchors() const {
  const int64_t first = block_out_channels.front();
  TensorShapes found = {
      {"conv_in.weight", {first, in_channels, 3, 3}},
      {"conv_out.weight", {out_channels, first, 3, 3}},
      {"time_embedding.linear_2.weight", {time_dim(), time_dim()}}};
  const auto attends = [&](const std::string& block, int64_t level) {
    const int64_t channels = block_out_channels[level];
    found[block + ".attentions.0.transformer_blocks.0.attn2.to_k.weight"] = {
        channels / heads[level] * heads[level], cross_attention_dim};
  };
  for (int64_t i = 0; i < levels(); ++i) {
    const std::string block = cat("down_blocks.", i);
    const int64_t channels = block_out_channels[i];
    found[cat(block, ".resnets.", layers_per_block - 1, ".conv2.weight")] = {
        channels, channels, 3, 3};
    if (down_attention[i]) attends(block, i);
  }
  attends("mid_block", levels() - 1);
  return found;
}

json UnetConfig::to_json() const {
  const bool even = std::count(heads.begin(), heads.end(), heads.front()) ==
                    static_cast<int64_t>(heads.size());
  return {{"_class_name", "UNet2DConditionModel"},
          {"_diffusers_version", "0.42.1"},
          {"sample_size", sample_size ? json(*sample_size) : json(nullptr)},
          {"in_channels", in_channels},
          {"out_channels", out_channels},
          {"center_input_sample", center_input_sample},
          {"flip_sin_to_cos", flip_sin_to_cos},
          {"freq_shift", freq_shift},
          {"block_out_channels", block_out_channels},
          {"down_block_types", block_names(down_attention, kPlainDown)},
          {"up_block_types", block_names(up_attention, kPlainUp)},
          {"layers_per_block", layers_per_block},
          {"downsample_padding", downsample_padding},
          {"mid_block_scale_factor", mid_block_scale_factor},
          {"norm_num_groups", norm_num_groups},
          {"norm_eps", norm_eps},
          {"cross_attention_dim", cross_attention_dim},
          {"attention_head_dim", even ? json(heads.front()) : json(heads)}};
}

}  // namespace rsm
