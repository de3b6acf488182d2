#include "rsm/base/error.h"
#include "rsm/models/sd3_transformer.h"

namespace rsm {
namespace {

using nlohmann::json;

template <typename T>
void read_field(const json& from, const std::string& origin, const char* key,
                T& value) {
  if (!from.contains(key) || from[key].is_null()) {
    return;
  }
  try {
    value = from[key].get<T>();
  } catch (const json::exception&) {
    throw Error(cat("[Sd3Config] ", origin, ": ", key, " is ", from[key].dump(),
                    "; a ", json(value).type_name(), " is needed"));
  }
}

}  // namespace

Sd3Config Sd3Config::from_json(const json& from, const std::string& origin) {
  static const std::vector<std::string> known = {
      "sample_size",         "patch_size",
      "in_channels",         "num_layers",
      "attention_head_dim",  "num_attention_heads",
      "joint_attention_dim", "caption_projection_dim",
      "pooled_projection_dim", "out_channels",
      "pos_embed_max_size",  "dual_attention_layers",
      "qk_norm"};
  for (const auto& [key, value] : from.items()) {
    const bool private_key = !key.empty() && key[0] == '_';
    RSM_CHECK(private_key || nearest_word(key, known) == key,
              "[Sd3Config] ", origin, ": ", unknown_word(key, known));
  }
  Sd3Config c;
  read_field(from, origin, "sample_size", c.sample_size);
  read_field(from, origin, "patch_size", c.patch_size);
  read_field(from, origin, "in_channels", c.in_channels);
  read_field(from, origin, "num_layers", c.num_layers);
  read_field(from, origin, "attention_head_dim", c.attention_head_dim);
  read_field(from, origin, "num_attention_heads", c.num_attention_heads);
  read_field(from, origin, "joint_attention_dim", c.joint_attention_dim);
  read_field(from, origin, "caption_projection_dim", c.caption_projection_dim);
  read_field(from, origin, "pooled_projection_dim", c.pooled_projection_dim);
  c.out_channels = c.in_channels;
  read_field(from, origin, "out_channels", c.out_channels);
  read_field(from, origin, "pos_embed_max_size", c.pos_embed_max_size);
  read_field(from, origin, "dual_attention_layers", c.dual_attention_layers);
  std::string qk_norm;
  read_field(from, origin, "qk_norm", qk_norm);
  RSM_CHECK(qk_norm.empty() || qk_norm == "rms_norm", "[Sd3Config] ", origin,
            ": qk_norm is \"", qk_norm, "\"; null or \"rms_norm\" is allowed");
  c.qk_rms_norm = qk_norm == "rms_norm";
  RSM_CHECK(c.caption_projection_dim == c.inner_dim(), "[Sd3Config] ", origin,
            ": caption_projection_dim is ", c.caption_projection_dim,
            "; it must be num_attention_heads * attention_head_dim = ",
            c.inner_dim());
  RSM_CHECK(c.patch_size > 0 && c.sample_size % c.patch_size == 0 &&
                c.sample_size / c.patch_size <= c.pos_embed_max_size,
            "[Sd3Config] ", origin, ": sample_size ", c.sample_size,
            ", patch_size ", c.patch_size, ", pos_embed_max_size ",
            c.pos_embed_max_size,
            "; the sample must be whole patches, at most pos_embed_max_size");
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
