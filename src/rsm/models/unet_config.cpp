#include "rsm/models/unet_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr std::string_view kPlainDown = "DownBlock2D";
constexpr std::string_view kPlainUp = "UpBlock2D";
constexpr std::string_view kCross = "CrossAttn";

/** diffusers' fields of which only the default is supported. */
const json& fixed_fields() {
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

/** Reads single fields; keeps the default where a key is absent. */
class Fields {
 public:
  Fields(const json& from, const std::string& origin)
      : from_(from), origin_(origin) {}

  void integer(const char* key, int64_t& value, int64_t least) const {
    if (!from_.contains(key)) return;
    check(key, is_integer(from_[key], least),
          cat("an integer of at least ", least));
    value = from_[key].get<int64_t>();
  }
  void truth(const char* key, bool& value) const {
    if (!from_.contains(key)) return;
    check(key, from_[key].is_boolean(), "true or false");
    value = from_[key].get<bool>();
  }
  void positive(const char* key, double& value) const {
    if (!from_.contains(key)) return;
    check(key, from_[key].is_number() && from_[key].get<double>() > 0,
          "a number above 0");
    value = from_[key].get<double>();
  }
  void integers(const char* key, std::vector<int64_t>& value) const {
    if (!from_.contains(key)) return;
    const json& given = from_[key];
    check(key,
          given.is_array() && !given.empty() &&
              std::all_of(given.begin(), given.end(),
                          [](const json& i) { return is_integer(i, 1); }),
          "a list of integers of at least 1");
    value = given.get<std::vector<int64_t>>();
  }
  /** Names of blocks -> whether they attend to the text. */
  void blocks(const char* key, std::string_view plain,
              std::vector<bool>& value) const {
    if (!from_.contains(key)) return;
    const json& given = from_[key];
    const std::string attending = cat(kCross, plain);
    const auto known = [&](const json& i) {
      return i == attending || i == plain;
    };
    check(key,
          given.is_array() && std::all_of(given.begin(), given.end(), known),
          cat("a list of ", attending, " and ", plain));
    value.clear();
    for (const auto& name : given) {
      value.push_back(name == attending);
    }
  }
  void check(const char* key, bool right, const std::string& needed) const {
    RSM_CHECK(right, "[UnetConfig] ", origin_, ": ", key, " is ",
              from_[key].dump(), "; ", needed, " is needed");
  }

 private:
  static bool is_integer(const json& value, int64_t least) {
    return value.is_number_integer() && value.get<int64_t>() >= least;
  }

  const json& from_;
  const std::string& origin_;
};

/** Private keys, such as _class_name, are passed over. */
void check_keys(const json& from, const std::string& origin) {
  RSM_CHECK(from.is_object(), "[UnetConfig] ", origin, " is a ",
            from.type_name(), "; an object is needed");
  const json own = UnetConfig().to_json();
  std::vector<std::string> known;
  for (const auto* fields : {&own, &fixed_fields()}) {
    for (const auto& item : fields->items()) {
      if (!item.key().starts_with("_")) known.push_back(item.key());
    }
  }
  for (const auto& [key, value] : from.items()) {
    if (key.starts_with("_")) continue;
    RSM_CHECK(std::count(known.begin(), known.end(), key) > 0, "[UnetConfig] ",
              origin, ": ", unknown_word(key, known));
    const auto fixed = fixed_fields().find(key);
    RSM_CHECK(fixed == fixed_fields().end() || *fixed == value, "[UnetConfig] ",
              origin, ": ", key, " is ", value.dump(), "; only ",
              fixed == fixed_fields().end() ? "" : fixed->dump(),
              " is supported, as in Stable Diffusion 1.5");
  }
}

void check_levels(const UnetConfig& c, const std::string& origin) {
  const auto count = [&](const char* key, size_t size) {
    RSM_CHECK(static_cast<int64_t>(size) == c.levels(), "[UnetConfig] ", origin,
              ": ", key, " has ", size, " entries; block_out_channels has ",
              c.levels(), ": one a level is needed");
  };
  count("down_block_types", c.down_attention.size());
  count("up_block_types", c.up_attention.size());
  count("attention_head_dim", c.heads.size());
  for (size_t i = 0; i < c.heads.size(); ++i) {
    const int64_t channels = c.block_out_channels[i];
    RSM_CHECK(channels % c.norm_num_groups == 0, "[UnetConfig] ", origin,
              ": block_out_channels has ", channels,
              "; a multiple of norm_num_groups = ", c.norm_num_groups,
              " is needed");
    RSM_CHECK(c.heads[i] <= channels, "[UnetConfig] ", origin,
              ": attention_head_dim (the number of heads) is ", c.heads[i],
              "; at most the level's channels, ", channels, ", is needed");
  }
}

void check_sizes(const UnetConfig& c, const std::string& origin) {
  check_levels(c, origin);
  const int64_t first = c.block_out_channels.front();
  RSM_CHECK(first % 2 == 0 && c.freq_shift < first / 2, "[UnetConfig] ", origin,
            ": block_out_channels begins with ", first, ", freq_shift is ",
            c.freq_shift,
            "; half the channels must be whole and above freq_shift");
  RSM_CHECK(c.downsample_padding <= 1, "[UnetConfig] ", origin,
            ": downsample_padding is ", c.downsample_padding,
            "; 0 or 1 is needed");
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
  check_keys(from, origin);
  const Fields read(from, origin);
  UnetConfig c;
  if (from.contains("sample_size") && !from["sample_size"].is_null()) {
    read.integer("sample_size", c.sample_size.emplace(), 1);
  }
  read.integer("in_channels", c.in_channels, 1);
  read.integer("out_channels", c.out_channels, 1);
  read.truth("center_input_sample", c.center_input_sample);
  read.truth("flip_sin_to_cos", c.flip_sin_to_cos);
  read.integer("freq_shift", c.freq_shift, 0);
  read.integers("block_out_channels", c.block_out_channels);
  read.blocks("down_block_types", kPlainDown, c.down_attention);
  read.blocks("up_block_types", kPlainUp, c.up_attention);
  read.integer("layers_per_block", c.layers_per_block, 1);
  read.integer("downsample_padding", c.downsample_padding, 0);
  read.positive("mid_block_scale_factor", c.mid_block_scale_factor);
  read.integer("norm_num_groups", c.norm_num_groups, 1);
  read.positive("norm_eps", c.norm_eps);
  read.integer("cross_attention_dim", c.cross_attention_dim, 1);
  if (from.contains("attention_head_dim") &&
      from["attention_head_dim"].is_array()) {
    read.integers("attention_head_dim", c.heads);
  } else {
    int64_t everywhere = c.heads.front();
    read.integer("attention_head_dim", everywhere, 1);
    c.heads.assign(c.block_out_channels.size(), everywhere);
  }
  check_sizes(c, origin);
  return c;
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
