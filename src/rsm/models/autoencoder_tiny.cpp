#include "rsm/models/autoencoder_tiny.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/modules/upsampling.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/printable.h"
#include "rsm/layers/conv.h"
#include "rsm/models/config_limits.h"
#include "rsm/models/fixed_fields.h"
#include "rsm/models/tiling.h"

namespace rsm {
namespace {

using nlohmann::json;
using torch::nn::GroupNorm;
using torch::nn::GroupNormOptions;
using torch::nn::ReLU;
using torch::nn::Sequential;

constexpr std::array kWidths = {"encoder_block_out_channels",
                                "decoder_block_out_channels",
                                "block_out_channels"};

/** diffusers' fields of which only the default is supported. */
const json& tiny_fixed_fields() {
  static const json fields = {
      {"act_fn", "relu"},         {"force_upcast", false},
      {"in_channels", 3},         {"out_channels", 3},
      {"upsample_fn", "nearest"}, {"upsampling_scaling_factor", 2}};
  return fields;
}

/** TAEF2's pooled blocks: four times the width, in as many groups. */
constexpr int64_t kPooledWidth = 4;
constexpr int64_t kPooledGroups = 4;

/** Latents are drawn smoothly into [-3,3]. */
constexpr double kFarthest = 3;

/** diffusers' tile_sample_min_size, in pixels, and 1 / tile_overlap_factor. */
constexpr int64_t kTilePixels = 512;
constexpr int64_t kTileOverlaps = 8;

/** A number of any sign, or null for what stands there. */
void read_shift(const JsonFields& fields, const char* key, double& value) {
  if (fields.value(key).is_null()) return;
  fields.number_above(key, value, -kMostFactor, kMostFactor);
}

/** The one width that all lists of widths hold. */
int64_t read_width(const JsonFields& fields, size_t levels, int64_t usual) {
  std::optional<int64_t> width;
  for (const char* key : kWidths) {
    // Written by newer diffusers alone, and the decoder's again.
    const bool copied = key == kWidths.back();
    std::vector<int64_t> widths(levels, copied ? *width : usual);
    fields.integers(key, widths, 1, kWidest, kMostLevels);
    if (!width) width = widths.empty() ? 0 : widths.front();
    fields.check(key, widths == std::vector<int64_t>(levels, *width),
                 cat("the same width for all ", levels,
                     " levels of encoder and decoder"));
  }
  return *width;
}

class TinyBlockImpl : public torch::nn::Module {
 public:
  TinyBlockImpl(int64_t width, bool pooled) {
    conv_ =
        register_module("conv", Sequential(Conv(width, width, 3, 1, 1), ReLU(),
                                           Conv(width, width, 3, 1, 1), ReLU(),
                                           Conv(width, width, 3, 1, 1)));
    if (!pooled) return;
    const int64_t wide = kPooledWidth * width;
    pool_ = register_module(
        "pool", Sequential(Conv(width, wide, 1, 1, 0, false),
                           GroupNorm(GroupNormOptions(kPooledGroups, wide)),
                           ReLU(), Conv(wide, width, 1, 1, 0, false)));
  }
  torch::Tensor forward(torch::Tensor x) {
    if (!pool_.is_empty()) x = x + pool_->forward(x);
    return at::relu(conv_->forward(x) + x);
  }

 private:
  Sequential conv_{nullptr}, pool_{nullptr};
};
TORCH_MODULE(TinyBlock);

void add_blocks(Sequential& layers, int64_t count, int64_t width, bool pooled) {
  for (int64_t i = 0; i < count; ++i) {
    layers->push_back(TinyBlock(width, pooled));
  }
}

Sequential encoder_layers(const AutoencoderTinyConfig& c) {
  Sequential layers;
  for (size_t i = 0; i < c.num_encoder_blocks.size(); ++i) {
    layers->push_back(i == 0 ? Conv(3, c.width, 3, 1, 1)
                             : Conv(c.width, c.width, 3, 2, 1, false));
    const bool last = i + 1 == c.num_encoder_blocks.size();
    add_blocks(layers, c.num_encoder_blocks[i], c.width,
               last && c.pooled_blocks);
  }
  layers->push_back(Conv(c.width, c.latent_channels, 3, 1, 1));
  return layers;
}

Sequential decoder_layers(const AutoencoderTinyConfig& c) {
  Sequential layers(Conv(c.latent_channels, c.width, 3, 1, 1), ReLU());
  for (size_t i = 0; i < c.num_decoder_blocks.size(); ++i) {
    add_blocks(layers, c.num_decoder_blocks[i], c.width,
               i == 0 && c.pooled_blocks);
    if (i + 1 == c.num_decoder_blocks.size()) {
      layers->push_back(Conv(c.width, 3, 3, 1, 1));
      continue;
    }
    layers->push_back(torch::nn::Upsample(
        torch::nn::UpsampleOptions().scale_factor(std::vector<double>{2, 2})));
    layers->push_back(Conv(c.width, c.width, 3, 1, 1, false));
  }
  return layers;
}

/** "N.rest" -> "<prefix>(N - less).rest". */
std::string renumbered(const std::string& name, const std::string& prefix,
                       int64_t less) {
  int64_t number = 0;
  const char* end = name.data() + name.size();
  const auto [rest, failed] = std::from_chars(name.data(), end, number);
  const bool right =
      failed == std::errc() && number >= less && rest != end && *rest == '.';
  RSM_CHECK(right, "[AutoencoderTiny] tensor \"", shown(name),
            "\" arrived; a layer's number and its parameter, such as "
            "1.weight, is needed: is this a file of madebyollin/taesd?");
  return cat(prefix, number - less, std::string(rest, end));
}

}  // namespace

LatentSpace AutoencoderTinyConfig::space() const {
  return {latent_channels, int64_t{1} << (num_decoder_blocks.size() - 1),
          scaling_factor, shift_factor};
}

AutoencoderTinyConfig AutoencoderTinyConfig::from_json(
    const json& from, const std::string& origin) {
  const JsonFields fields(from, "[AutoencoderTinyConfig] " + origin);
  AutoencoderTinyConfig c;
  check_fixed_fields(fields, c.to_json(), tiny_fixed_fields(), "TAESD");
  fields.integer("latent_channels", c.latent_channels, 1, kWidest);
  fields.integers("num_encoder_blocks", c.num_encoder_blocks, 0, kMostLayers,
                  kMostLevels);
  fields.integers("num_decoder_blocks", c.num_decoder_blocks, 0, kMostLayers,
                  kMostLevels);
  const size_t levels = c.num_encoder_blocks.size();
  fields.check("num_encoder_blocks", levels > 0,
               "a list of one integer a level");
  fields.check("num_decoder_blocks", c.num_decoder_blocks.size() == levels,
               cat("a list of ", levels, " integers, as num_encoder_blocks,"));
  c.width = read_width(fields, levels, c.width);
  fields.number_above("latent_magnitude", c.latent_magnitude, 0, kMostFactor);
  read_shift(fields, "latent_shift", c.latent_shift);
  fields.number_above("scaling_factor", c.scaling_factor, 0, kMostFactor);
  read_shift(fields, "shift_factor", c.shift_factor);
  return c;
}

TensorShapes AutoencoderTinyConfig::anchors() const {
  int64_t encoder = 0, decoder = 2;  // past the first layers
  for (const int64_t blocks : num_encoder_blocks) encoder += 1 + blocks;
  for (const int64_t blocks : num_decoder_blocks) decoder += 2 + blocks;
  return {{"encoder.layers.0.weight", {width, 3, 3, 3}},
          {cat("encoder.layers.", encoder, ".weight"),
           {latent_channels, width, 3, 3}},
          {"decoder.layers.0.weight", {width, latent_channels, 3, 3}},
          {cat("decoder.layers.", decoder - 2, ".weight"), {3, width, 3, 3}}};
}

json AutoencoderTinyConfig::to_json() const {
  const std::vector<int64_t> widths(num_encoder_blocks.size(), width);
  json out = {{"_class_name", "AutoencoderTiny"},
              {"_diffusers_version", "0.42.1"},
              {"latent_channels", latent_channels},
              {"num_encoder_blocks", num_encoder_blocks},
              {"num_decoder_blocks", num_decoder_blocks},
              {"latent_magnitude", latent_magnitude},
              {"latent_shift", latent_shift},
              {"scaling_factor", scaling_factor},
              {"shift_factor", shift_factor}};
  for (const char* key : kWidths) out[key] = widths;
  return out;
}

AutoencoderTinyImpl::AutoencoderTinyImpl(const AutoencoderTinyConfig& config,
                                         Ways ways)
    : config_(config) {
  const auto add = [&](const char* name, const Sequential& layers) {
    register_module(name, std::make_shared<torch::nn::Module>())
        ->register_module("layers", layers);
    return layers;
  };
  if (ways == Ways::both) encoder_ = add("encoder", encoder_layers(config));
  decoder_ = add("decoder", decoder_layers(config));
}

torch::Tensor AutoencoderTinyImpl::encode(const torch::Tensor& pictures) {
  check_pictures(pictures, !encoder_.is_empty());
  return encoder_->forward((pictures + 1) / 2);
}

torch::Tensor AutoencoderTinyImpl::decode(const torch::Tensor& latents) {
  check_latents(latents);
  return decoder_->forward(at::tanh(latents / kFarthest) * kFarthest) * 2 - 1;
}

torch::Tensor AutoencoderTinyImpl::decode_tiled(const torch::Tensor& latents) {
  check_latents(latents);
  const int64_t scale = space().scale;
  const int64_t side = kTilePixels / scale;
  RSM_CHECK(side >= kTileOverlaps, "[AutoencoderTiny] ",
            config_.num_decoder_blocks.size(), " levels; tiles of ",
            kTilePixels, " pixels need fewer: decode without tiles");
  return blend_on_canvas(
      latents, {side, side / kTileOverlaps, scale},
      [&](const torch::Tensor& tile) { return decode(tile); });
}

std::shared_ptr<AutoencoderModule> AutoencoderTinyImpl::fresh(Ways ways) const {
  return std::make_shared<AutoencoderTinyImpl>(config_, ways);
}

nlohmann::json AutoencoderTinyImpl::config_json() const {
  return config_.to_json();
}

StateDict autoencoder_tiny_names(const StateDict& encoder,
                                 const StateDict& decoder) {
  StateDict out;
  for (const auto& [name, tensor] : encoder) {
    out[renumbered(name, "encoder.layers.", 0)] = tensor;
  }
  // There the decoder's first layer bounds the latents; here it has none.
  for (const auto& [name, tensor] : decoder) {
    out[renumbered(name, "decoder.layers.", 1)] = tensor;
  }
  return out;
}

}  // namespace rsm
