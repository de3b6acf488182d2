#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/models/sd3_transformer.h"

namespace rsm {
namespace {

using nlohmann::json;

/** Reads an integer of at least 1; keeps the default where `key` is absent. */
void read_size(const json& from, const std::string& origin, const char* key,
               int64_t& value) {
  if (!from.contains(key)) return;
  const json& given = from[key];
  RSM_CHECK(given.is_number_integer() && given.get<int64_t>() >= 1,
            "[Sd3Config] ", origin, ": ", key, " is ", given.dump(),
            "; an integer of at least 1 is needed");
  value = given.get<int64_t>();
}

void read_layers(const json& from, const std::string& origin, const char* key,
                 std::vector<int64_t>& value) {
  if (!from.contains(key)) return;
  const json& given = from[key];
  RSM_CHECK(given.is_array() && std::all_of(given.begin(), given.end(),
                                            [](const json& i) {
                                              return i.is_number_integer();
                                            }),
            "[Sd3Config] ", origin, ": ", key, " is ", given.dump(),
            "; a list of integers is needed");
  value = given.get<std::vector<int64_t>>();
}

/** Private keys, such as _class_name, are passed over. */
void check_keys(const json& from, const std::string& origin) {
  static const std::vector<std::string> known = {"sample_size",
                                                 "patch_size",
                                                 "in_channels",
                                                 "num_layers",
                                                 "attention_head_dim",
                                                 "num_attention_heads",
                                                 "joint_attention_dim",
                                                 "caption_projection_dim",
                                                 "pooled_projection_dim",
                                                 "out_channels",
                                                 "pos_embed_max_size",
                                                 "dual_attention_layers",
                                                 "qk_norm"};
  RSM_CHECK(from.is_object(), "[Sd3Config] ", origin, " is a ",
            from.type_name(), "; an object is needed");
  for (const auto& [key, value] : from.items()) {
    RSM_CHECK(
        key.starts_with("_") || std::count(known.begin(), known.end(), key) > 0,
        "[Sd3Config] ", origin, ": ", unknown_word(key, known));
  }
}

void check_sizes(const Sd3Config& c, const std::string& origin) {
  RSM_CHECK(c.caption_projection_dim == c.inner_dim(), "[Sd3Config] ", origin,
            ": caption_projection_dim is ", c.caption_projection_dim,
            "; it must be num_attention_heads * attention_head_dim = ",
            c.inner_dim());
  RSM_CHECK(c.inner_dim() % 4 == 0, "[Sd3Config] ", origin,
            ": num_attention_heads * attention_head_dim is ", c.inner_dim(),
            "; it must be a multiple of 4");
  RSM_CHECK(c.sample_size % c.patch_size == 0 &&
                c.sample_size / c.patch_size <= c.pos_embed_max_size,
            "[Sd3Config] ", origin, ": sample_size ", c.sample_size,
            ", patch_size ", c.patch_size, ", pos_embed_max_size ",
            c.pos_embed_max_size,
            "; the sample must be whole patches, at most pos_embed_max_size");
}

}  // namespace

Sd3Config Sd3Config::from_json(const json& from, const std::string& origin) {
  check_keys(from, origin);
  Sd3Config c;
  const auto size = [&](const char* key, int64_t& value) {
    read_size(from, origin, key, value);
  };
  size("sample_size", c.sample_size);
  size("patch_size", c.patch_size);
  size("in_channels", c.in_channels);
  size("num_layers", c.num_layers);
  size("attention_head_dim", c.attention_head_dim);
  size("num_attention_heads", c.num_attention_heads);
  size("joint_attention_dim", c.joint_attention_dim);
  size("caption_projection_dim", c.caption_projection_dim);
  size("pooled_projection_dim", c.pooled_projection_dim);
  size("pos_embed_max_size", c.pos_embed_max_size);
  if (from.contains("out_channels") && from["out_channels"].is_null()) {
    c.out_channels = c.in_channels;
  } else {
    size("out_channels", c.out_channels);
  }
  read_layers(from, origin, "dual_attention_layers", c.dual_attention_layers);
  const json norm = from.value("qk_norm", json());
  RSM_CHECK(norm.is_null() || norm == "rms_norm", "[Sd3Config] ", origin,
            ": qk_norm is ", norm.dump(), "; null or \"rms_norm\" is allowed");
  c.qk_rms_norm = norm == "rms_norm";
  check_sizes(c, origin);
  return c;
}

json Sd3Config::to_json() const {
  return {{"_class_name", "SD3Transformer2DModel"},
          {"_diffusers_version", "0.42.1"},
          {"sample_size", sample_size},
          {"patch_size", patch_size},
          {"in_channels", in_channels},
          {"num_layers", num_layers},
          {"attention_head_dim", attention_head_dim},
          {"num_attention_heads", num_attention_heads},
          {"joint_attention_dim", joint_attention_dim},
          {"caption_projection_dim", caption_projection_dim},
          {"pooled_projection_dim", pooled_projection_dim},
          {"out_channels", out_channels},
          {"pos_embed_max_size", pos_embed_max_size},
          {"dual_attention_layers", dual_attention_layers},
          {"qk_norm", qk_rms_norm ? json("rms_norm") : json(nullptr)}};
}

}  // namespace rsm
