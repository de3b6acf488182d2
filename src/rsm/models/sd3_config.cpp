#include "rsm/models/sd3_config.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/models/config_limits.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr int64_t kMostJointBlocks = 1024;  ///< beyond all models there are

void check_sizes(const Sd3Config& c, const std::string& where) {
  RSM_CHECK(c.caption_projection_dim == c.inner_dim(), where,
            ": caption_projection_dim is ", c.caption_projection_dim,
            "; it must be num_attention_heads * attention_head_dim = ",
            c.inner_dim());
  RSM_CHECK(c.inner_dim() % 4 == 0, where,
            ": num_attention_heads * attention_head_dim is ", c.inner_dim(),
            "; it must be a multiple of 4");
  RSM_CHECK(c.sample_size % c.patch_size == 0 &&
                c.sample_size / c.patch_size <= c.pos_embed_max_size,
            where, ": sample_size ", c.sample_size, ", patch_size ",
            c.patch_size, ", pos_embed_max_size ", c.pos_embed_max_size,
            "; the sample must be whole patches, at most pos_embed_max_size");
}

}  // namespace

Sd3Config Sd3Config::from_json(const json& from, const std::string& origin) {
  const JsonFields fields(from, "[Sd3Config] " + origin);
  Sd3Config c;
  fields.check_keys(c.to_json());
  fields.integer("sample_size", c.sample_size, 1, kLargestSide);
  fields.integer("patch_size", c.patch_size, 1, kLargestSide);
  fields.integer("in_channels", c.in_channels, 1, kWidest);
  fields.integer("num_layers", c.num_layers, 1, kMostJointBlocks);
  fields.integer("attention_head_dim", c.attention_head_dim, 1, kWidest);
  fields.integer("num_attention_heads", c.num_attention_heads, 1, kWidest);
  fields.integer("joint_attention_dim", c.joint_attention_dim, 1, kWidest);
  fields.integer("caption_projection_dim", c.caption_projection_dim, 1,
                 kWidest);
  fields.integer("pooled_projection_dim", c.pooled_projection_dim, 1, kWidest);
  fields.integer("pos_embed_max_size", c.pos_embed_max_size, 1, kLargestSide);
  if (fields.has("out_channels") && fields.value("out_channels").is_null()) {
    c.out_channels = c.in_channels;
  } else {
    fields.integer("out_channels", c.out_channels, 1, kWidest);
  }
  fields.integers("dual_attention_layers", c.dual_attention_layers, 0,
                  kMostJointBlocks, kMostJointBlocks);
  const json& norm = fields.value("qk_norm");
  fields.only("qk_norm", norm.is_null() || norm == "rms_norm",
              "null or \"rms_norm\"");
  c.qk_rms_norm = norm == "rms_norm";
  check_sizes(c, fields.where());
  return c;
}

TensorShapes Sd3Config::anchors() const {
  const int64_t dim = inner_dim();
  const std::string last = cat("transformer_blocks.", num_layers - 1, ".");
  return {{"context_embedder.weight",
           {caption_projection_dim, joint_attention_dim}},
          {"pos_embed.pos_embed",
           {1, pos_embed_max_size * pos_embed_max_size, dim}},
          {"pos_embed.proj.weight", {dim, in_channels, patch_size, patch_size}},
          {"proj_out.weight", {patch_size * patch_size * out_channels, dim}},
          {"time_text_embed.text_embedder.linear_1.weight",
           {dim, pooled_projection_dim}},
          {last + "attn.to_q.weight", {dim, dim}}};
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
