#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rsm/io/json_fields.h"

/** What CLIP's text encoder and its vision tower are both made of. */
namespace rsm {

/** Bounds of what their configs say, beyond all models there are, and far below
 * what overflows. */
inline constexpr int64_t kWidestClip = 65536;
inline constexpr int64_t kMostClipLayers = 1024;

/** The fields that both configs have (config.json). */
struct ClipLayerConfig {
  int64_t hidden_size = 512;
  int64_t intermediate_size = 2048;
  int64_t projection_dim = 512;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 8;
  std::string hidden_act = "quick_gelu";  ///< or "gelu"
  double layer_norm_eps = 1e-5;

  /** Takes what is there. Throws rsm::Error naming the key for a wrong type or
   * a number out of range. */
  void read_layers(const JsonFields& fields);
  /** Takes the projection_dim that a config of CLIP as a whole has: it counts
   * for both towers, whatever their own say. */
  void read_projection(const JsonFields& fields);
  /** The same fields, to be written. */
  nlohmann::json layers_to_json() const;
};

/** Whether a config is that of CLIP as a whole, model_type "clip", with this
 * part. */
bool is_whole_clip(const JsonFields& fields, const std::string& part);

/** A LayerNorm over hidden_size. */
torch::nn::LayerNorm clip_norm(const ClipLayerConfig& config);

struct ClipEncoderOutput {
  torch::Tensor last;         ///< [B,L,E], after the last layer
  torch::Tensor penultimate;  ///< [B,L,E], its input
};

/** The layers of a pre-norm transformer, called layers.0 ... by transformers.
 * Source: transformers 5, models/clip/modeling_clip.py. */
class ClipEncoderImpl : public torch::nn::Module {
 public:
  /** `causal`: each place attends to itself and those before. Throws rsm::Error
   * where the heads don't share hidden_size evenly. */
  ClipEncoderImpl(const ClipLayerConfig& config, bool causal);
  /** x [B,L,E] */
  ClipEncoderOutput forward(const torch::Tensor& x);

 private:
  torch::nn::ModuleList layers_{nullptr};
};
TORCH_MODULE(ClipEncoder);

}  // namespace rsm
