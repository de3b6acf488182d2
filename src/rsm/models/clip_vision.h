#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rsm/io/safetensors.h"
#include "rsm/text/clip_layers.h"

namespace rsm {

/** Fields of transformers' CLIPVisionConfig (config.json), same defaults. */
struct ClipVisionConfig : ClipLayerConfig {
  ClipVisionConfig();

  int64_t num_channels = 3;
  int64_t image_size = 224;  ///< pixels, of both sides
  int64_t patch_size = 32;

  /** Patches of a picture; what image_size leaves over at the right and at the
   * bottom is not looked at. */
  int64_t patches() const;

  /** Other fields are passed over: they don't change what the model computes.
   * Of a config of CLIP as a whole, model_type "clip", its vision_config and
   * its own projection_dim are read. Throws rsm::Error naming `origin` and the
   * key for a wrong type or a number out of range. */
  static ClipVisionConfig from_json(const nlohmann::json& json,
                                    const std::string& origin = "config.json");
  /** A config.json for transformers' CLIPVisionModelWithProjection. */
  nlohmann::json to_json() const;

  /** Names and shapes of a few tensors, with every width and count in them:
   * what they are compared with bounds what a model of this config takes. */
  TensorShapes anchors() const;
};

struct ClipVisionOutput {
  torch::Tensor image_embeds;  ///< [B,P], not normalised
  /** [B,1+N,E] of the class token and the patches, row by row, after the last
   * layer, without norm. */
  torch::Tensor last_hidden_state;
  torch::Tensor penultimate;  ///< [B,1+N,E], input of the last layer
  torch::Tensor pooled;       ///< [B,E]: the class token's, after the last norm
};

class ClipVisionTransformerImpl;

/** CLIP's vision tower with its projection. Parameter names of transformers:
 * vision_model.embeddings..., vision_model.encoder.layers.0..., and
 * visual_projection.weight. Source: Radford et al. 2021 (arXiv:2103.00020,
 * section 2.4); transformers 5, models/clip/modeling_clip.py. */
class ClipVisionModelImpl : public torch::nn::Module {
 public:
  /** The weights are arbitrary until load_parameters(). */
  explicit ClipVisionModelImpl(const ClipVisionConfig& config);

  /** pixels [B,num_channels,image_size,image_size], normalised as the model's
   * preprocessor says; they are taken in the type of the weights. Throws
   * rsm::Error for other shapes. */
  ClipVisionOutput forward(const torch::Tensor& pixels);

  const ClipVisionConfig& config() const { return config_; }

 private:
  ClipVisionConfig config_;
  std::shared_ptr<ClipVisionTransformerImpl> vision_model_;
  std::shared_ptr<torch::nn::Module> visual_projection_;
};
TORCH_MODULE(ClipVisionModel);

/** A tensor's name in this module; "" for what a whole CLIP has besides, and
 * for the position_ids that transformers up to 4.30 saved. */
std::string clip_vision_name(const std::string& name);

/** StateDict or TensorShapes of a CLIP under these names. */
template <typename Named>
Named clip_vision_names(const Named& named) {
  Named out;
  for (const auto& [name, value] : named) {
    const std::string own = clip_vision_name(name);
    if (!own.empty()) out[own] = value;
  }
  return out;
}

}  // namespace rsm
