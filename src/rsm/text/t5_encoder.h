#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rsm/io/safetensors.h"

namespace rsm {

/** Fields of transformers' T5Config (config.json) that an encoder needs, same
 * defaults. */
struct T5Config {
  int64_t vocab_size = 32128;
  int64_t d_model = 512;
  int64_t d_kv = 64;  ///< width of a head; num_heads of them needn't be d_model
  int64_t d_ff = 2048;
  int64_t num_layers = 6;
  int64_t num_heads = 8;
  int64_t relative_attention_num_buckets = 32;
  int64_t relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;
  /** "gated-gelu" (T5 1.1, GELU by tanh) or "relu" (T5 1.0). */
  std::string feed_forward_proj = "relu";

  bool gated() const { return feed_forward_proj == "gated-gelu"; }

  /** Other fields are passed over: they don't change what the encoder
   * computes. Throws rsm::Error naming `origin` and the key for a wrong type or
   * a number out of range. */
  static T5Config from_json(const nlohmann::json& json,
                            const std::string& origin = "config.json");
  /** A config.json for transformers' T5EncoderModel. */
  nlohmann::json to_json() const;

  /** Names and shapes of a few tensors, with every width and count in them:
   * what they are compared with bounds what a model of this config takes. */
  TensorShapes anchors() const;
};

class T5StackImpl;

/** T5's encoder: pre-norm transformer without biases, whose attention adds a
 * learned term of the distance between two tokens, the first layer's in all.
 * Parameter names as in the folders of SD3, those of transformers:
 * shared.weight, encoder.block.0.layer.0.SelfAttention.q.weight ...
 * Source: Raffel et al. 2020 (arXiv:1910.10683, section 2.1); Shazeer 2020
 * (arXiv:2002.05202, GEGLU); transformers 5, models/t5/modeling_t5.py. */
class T5EncoderModelImpl : public torch::nn::Module {
 public:
  /** The weights are arbitrary, and their memory untouched, until they are
   * loaded. */
  explicit T5EncoderModelImpl(const T5Config& config);

  /** ids [B,L] int64 -> [B,L,d_model], after the final norm, in the type of the
   * weights. Padding is attended to as any token, as in SD3's pipeline. Throws
   * rsm::Error for other shapes. */
  torch::Tensor forward(const torch::Tensor& ids);

  /** Converts the weights, one at a time. As in transformers, float16 leaves
   * the last product of each layer, `wo`, in float32, and with it the sum over
   * layers: it leaves float16's range. to() converts `wo` too. */
  void set_type(torch::ScalarType type);

  const T5Config& config() const { return config_; }

 private:
  T5Config config_;
  std::shared_ptr<torch::nn::Module> shared_;
  std::shared_ptr<T5StackImpl> encoder_;
};
TORCH_MODULE(T5EncoderModel);

/** A tensor's name in this module: encoder.embed_tokens.weight, which some
 * files have besides or in place of it, is shared.weight; "" for what a whole
 * T5 has besides. */
std::string t5_encoder_name(const std::string& name);

/** StateDict or TensorShapes of a T5 under these names. */
template <typename Named>
Named t5_encoder_names(const Named& named) {
  Named out;
  for (const auto& [name, value] : named) {
    const std::string own = t5_encoder_name(name);
    if (!own.empty() && (own == name || !named.contains(own))) out[own] = value;
  }
  return out;
}

}  // namespace rsm
