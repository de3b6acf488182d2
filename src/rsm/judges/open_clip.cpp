#include "rsm/judges/open_clip.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"

namespace rsm {
namespace {

using nlohmann::json;
using Renames = std::pair<std::string_view, std::string_view>;

constexpr const char* kPatches = "visual.conv1.weight";
constexpr std::string_view kBlocks = "transformer.resblocks.";
constexpr int64_t kLargestId = 2;  // see ClipTextConfig::eos_token_id

/** OpenCLIP's ViT-H-14.json; HPSv2's weights come without one. */
constexpr int64_t kHugeVision = 1280, kHugeText = 1024, kHugePatch = 14;
constexpr int64_t kHugeHeads = 16;  // of both towers

/** Whole names. Projections are transposed besides. */
constexpr std::array<Renames, 12> kNames = {{
    {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
    {kPatches, "vision_model.embeddings.patch_embedding.weight"},
    {"visual.positional_embedding",
     "vision_model.embeddings.position_embedding.weight"},
    {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"},
    {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"},
    {"visual.ln_post.weight", "vision_model.post_layernorm.weight"},
    {"visual.ln_post.bias", "vision_model.post_layernorm.bias"},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.weight", "text_model.final_layer_norm.weight"},
    {"ln_final.bias", "text_model.final_layer_norm.bias"},
    {"logit_scale", "logit_scale"},
}};
constexpr std::array<Renames, 2> kProjections = {{
    {"visual.proj", "visual_projection.weight"},
    {"text_projection", "text_projection.weight"},
}};
/** Beginnings of names in a block. */
constexpr std::array<Renames, 5> kInBlock = {{
    {"ln_1.", "layer_norm1."},
    {"ln_2.", "layer_norm2."},
    {"attn.out_proj.", "self_attn.out_proj."},
    {"mlp.c_fc.", "mlp.fc1."},
    {"mlp.c_proj.", "mlp.fc2."},
}};
constexpr std::array<std::string_view, 4> kUnused = {
    "attn_mask", "context_length", "input_resolution", "vocab_size"};

/** "transformer.resblocks.3.ln_1.bias" as {3, "ln_1.bias"}; -1 for others. */
std::pair<int64_t, std::string_view> block_of(std::string_view name) {
  if (!name.starts_with(kBlocks)) return {-1, name};
  name.remove_prefix(kBlocks.size());
  int64_t number = -1;
  const auto end =
      std::from_chars(name.data(), name.data() + name.size(), number).ptr;
  const auto digits = static_cast<size_t>(end - name.data());
  if (digits == 0 || digits >= name.size() || *end != '.') return {-1, name};
  return {number, name.substr(digits + 1)};
}

/** A tensor of a block, or the three in one that attention begins with. */
void add_in_block(const std::string& layer, std::string_view name,
                  const torch::Tensor& tensor, StateDict& out) {
  for (const char* kind : {"weight", "bias"}) {
    if (name != cat("attn.in_proj_", kind) || tensor.dim() == 0) continue;
    const auto parts = tensor.chunk(3, 0);
    const char* const letters[] = {"q", "k", "v"};
    for (size_t i = 0; i < parts.size(); ++i) {
      out[cat(layer, "self_attn.", letters[i], "_proj.", kind)] = parts[i];
    }
    return;
  }
  for (const auto& [theirs, ours] : kInBlock) {
    if (name.starts_with(theirs)) {
      out[cat(layer, ours, name.substr(theirs.size()))] = tensor;
      return;
    }
  }
  out[cat(layer, name)] = tensor;
}

/** Shapes of one tower, whose names begin with `prefix`. */
class Tower {
 public:
  Tower(const TensorShapes& shapes, std::string prefix,
        const std::string& origin)
      : shapes_(shapes), prefix_(std::move(prefix)), origin_(origin) {}

  /** Axis `axis` of a tensor that has so many dimensions. */
  int64_t size(const std::string& name, size_t axis, size_t dims) const {
    const auto found = shapes_.find(prefix_ + name);
    RSM_CHECK(found != shapes_.end(), "[OpenCLIP] ", origin_, " has no tensor ",
              prefix_, name, "; a vision and a text transformer are needed");
    RSM_CHECK(found->second.size() == dims, "[OpenCLIP] ", origin_, ": tensor ",
              prefix_, name, " has ", found->second.size(), " dimensions; ",
              dims, " are needed");
    return found->second[axis];
  }

  void read_layers(ClipLayerConfig& config) const {
    int64_t layers = 0;
    for (const auto& [name, shape] : shapes_) {
      if (!name.starts_with(prefix_)) continue;
      const auto block =
          block_of(std::string_view(name).substr(prefix_.size()));
      layers = std::max(layers, block.first + 1);
    }
    RSM_CHECK(layers >= 1 && layers <= kMostClipLayers, "[OpenCLIP] ", origin_,
              " has ", layers, " layers of ", prefix_, kBlocks, "; 1 to ",
              kMostClipLayers, " are allowed");
    config.num_hidden_layers = layers;
    config.intermediate_size = size(cat(kBlocks, "0.mlp.c_fc.weight"), 0, 2);
  }

 private:
  const TensorShapes& shapes_;
  std::string prefix_;
  const std::string& origin_;
};

ClipVisionConfig vision_of(const TensorShapes& shapes,
                           const std::string& origin) {
  const Tower tower(shapes, "visual.", origin);
  ClipVisionConfig c;
  c.hidden_size = tower.size("conv1.weight", 0, 4);
  c.num_channels = tower.size("conv1.weight", 1, 4);
  c.patch_size = tower.size("conv1.weight", 2, 4);
  c.projection_dim = tower.size("proj", 1, 2);
  const int64_t patches = tower.size("positional_embedding", 0, 2) - 1;
  const int64_t side = std::llround(std::sqrt(static_cast<double>(patches)));
  RSM_CHECK(patches >= 1 && side * side == patches, "[OpenCLIP] ", origin, ": ",
            patches,
            " places beside the first in visual.positional_embedding; "
            "a square number is needed");
  c.image_size = side * c.patch_size;
  tower.read_layers(c);
  return c;
}

ClipTextConfig text_of(const TensorShapes& shapes, const std::string& origin) {
  const Tower tower(shapes, "", origin);
  ClipTextConfig c;
  c.vocab_size = tower.size("token_embedding.weight", 0, 2);
  c.hidden_size = tower.size("token_embedding.weight", 1, 2);
  c.max_position_embeddings = tower.size("positional_embedding", 0, 2);
  c.projection_dim = tower.size("text_projection", 1, 2);
  c.eos_token_id = kLargestId;
  tower.read_layers(c);
  return c;
}

/** What shapes don't say, of an open_clip_config.json. */
void read_heads(const json& config, const std::string& origin,
                ClipConfigs& out) {
  const JsonFields whole(config, "[OpenCLIP] " + origin,
                         JsonFields::Null::is_missing);
  const auto model = whole.object("model_cfg");
  const auto vision = model.object("vision_cfg");
  const auto text = model.object("text_cfg");
  for (const char* key : {"timm_model_name", "hf_model_name"}) {
    vision.only(key, !vision.has(key), "OpenCLIP's own vision transformer");
    text.only(key, !text.has(key), "OpenCLIP's own text transformer");
  }
  int64_t head_width = 64;
  vision.integer("head_width", head_width, 1, kWidestClip);
  vision.check("head_width", out.vision.hidden_size % head_width == 0,
               cat("a part of the width ", out.vision.hidden_size));
  out.vision.num_attention_heads = out.vision.hidden_size / head_width;
  out.text.num_attention_heads = 8;
  text.integer("heads", out.text.num_attention_heads, 1, kWidestClip);
  text.check("heads", out.text.hidden_size % out.text.num_attention_heads == 0,
             cat("a part of the width ", out.text.hidden_size));
  bool quick = false;
  model.truth("quick_gelu", quick);
  out.vision.hidden_act = out.text.hidden_act = quick ? "quick_gelu" : "gelu";
}

}  // namespace

bool is_open_clip(const TensorShapes& shapes) {
  return shapes.contains(kPatches);
}

ClipConfigs open_clip_configs(const TensorShapes& shapes, const json& config,
                              const std::string& origin) {
  ClipConfigs out = {vision_of(shapes, origin), text_of(shapes, origin)};
  if (!config.is_null()) {
    read_heads(config, origin, out);
    return out;
  }
  RSM_CHECK(out.vision.hidden_size == kHugeVision &&
                out.vision.patch_size == kHugePatch &&
                out.text.hidden_size == kHugeText,
            "[OpenCLIP] ", origin, " has a vision tower ",
            out.vision.hidden_size, " wide with patches of ",
            out.vision.patch_size, " pixels, and a text tower ",
            out.text.hidden_size,
            " wide; of ViT-H/14 alone (1280, 14 and 1024) heads and activation "
            "are known: put its open_clip_config.json beside it");
  out.vision.num_attention_heads = out.text.num_attention_heads = kHugeHeads;
  out.vision.hidden_act = out.text.hidden_act = "gelu";
  return out;
}

StateDict open_clip_names(const StateDict& named) {
  StateDict out;
  for (const auto& [name, tensor] : named) {
    if (std::count(kUnused.begin(), kUnused.end(), name) > 0) continue;
    // Bound anew: clang 14 captures no structured binding.
    const auto same = [&own = name](const Renames& names) {
      return names.first == own;
    };
    const auto whole = std::find_if(kNames.begin(), kNames.end(), same);
    const auto turned =
        std::find_if(kProjections.begin(), kProjections.end(), same);
    std::string_view rest = name;
    const bool vision = rest.starts_with("visual.");
    if (vision) rest.remove_prefix(std::string_view("visual.").size());
    const auto [number, in_block] = block_of(rest);
    if (whole != kNames.end()) {
      out[std::string(whole->second)] = tensor;
    } else if (turned != kProjections.end()) {
      out[std::string(turned->second)] = tensor.t().contiguous();
    } else if (number >= 0) {
      add_in_block(cat(vision ? "vision" : "text", "_model.encoder.layers.",
                       number, "."),
                   in_block, tensor, out);
    } else {
      out[name] = tensor;
    }
  }
  return out;
}

}  // namespace rsm
