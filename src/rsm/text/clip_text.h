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

/** Fields of transformers' CLIPTextConfig (config.json), same defaults. */
struct ClipTextConfig : ClipLayerConfig {
  int64_t vocab_size = 49408;
  int64_t max_position_embeddings = 77;
  int64_t pad_token_id = 1;
  int64_t bos_token_id = 49406;
  /** Where the pooled output is taken. 2 means, for old folders, the largest
   * id of the text instead: see ClipTextOutput::pooled. */
  int64_t eos_token_id = 49407;

  /** Other fields are passed over: they don't change what the model computes.
   * Of a config of CLIP as a whole, model_type "clip", its text_config and its
   * own projection_dim are read. Throws rsm::Error naming `origin` and the key
   * for a wrong type or a number out of range. */
  static ClipTextConfig from_json(const nlohmann::json& json,
                                  const std::string& origin = "config.json");
  /** A config.json for transformers' CLIPTextModelWithProjection or
   * CLIPTextModel. */
  nlohmann::json to_json(bool with_projection) const;

  /** Names and shapes of a few tensors, with every width and count in them:
   * what they are compared with bounds what a model of this config takes. */
  TensorShapes anchors(bool with_projection) const;
};

struct ClipTextOutput {
  torch::Tensor last_hidden_state;  ///< [B,L,E], after the final norm
  /** [B,L,E], input of the last layer, without the final norm: transformers'
   * hidden_states[-2], what SD3 and SDXL condition on. */
  torch::Tensor penultimate;
  /** [B,E]: last_hidden_state at the first eos_token_id of each text (its
   * first token where there is none), or at its largest id (the first of
   * equals) where the config's eos_token_id is 2. */
  torch::Tensor pooled;
  torch::Tensor text_embeds;  ///< [B,P]; undefined without projection
};

class ClipTextTransformerImpl;

/** CLIP's text encoder: pre-norm transformer with causal attention. Parameter
 * names as in the folders of SD and SD3, those of transformers:
 * text_model.embeddings..., text_model.encoder.layers.0..., and
 * text_projection.weight. Source: Radford et al. 2021 (arXiv:2103.00020,
 * section 2.4); transformers 5, models/clip/modeling_clip.py. */
class ClipTextModelImpl : public torch::nn::Module {
 public:
  /** The weights are arbitrary until load_parameters(). */
  ClipTextModelImpl(const ClipTextConfig& config, bool with_projection);

  /** ids [B,L] int64, L <= max_position_embeddings. Padding is attended to as
   * any token, as in the public pipelines. Throws rsm::Error for other
   * shapes. */
  ClipTextOutput forward(const torch::Tensor& ids);

  const ClipTextConfig& config() const { return config_; }
  bool has_projection() const { return text_projection_ != nullptr; }

 private:
  ClipTextConfig config_;
  std::shared_ptr<ClipTextTransformerImpl> text_model_;
  std::shared_ptr<torch::nn::Module> text_projection_;
};
TORCH_MODULE(ClipTextModel);

/** A tensor's name in this module: adds the prefix "text_model." that
 * transformers 5 leaves out for CLIPTextModel; "" for the position_ids that
 * transformers up to 4.30 saved, which are dropped. */
std::string clip_text_name(const std::string& name);

/** StateDict or TensorShapes of a CLIP text model under these names. */
template <typename Named>
Named clip_text_names(const Named& named) {
  Named out;
  for (const auto& [name, value] : named) {
    const std::string own = clip_text_name(name);
    if (!own.empty()) out[own] = value;
  }
  return out;
}

}  // namespace rsm
