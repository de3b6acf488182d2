#pragma once

#include <string>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/io/clip_tokenizer.h"
#include "rsm/models/clip_text.h"
#include "rsm/models/sd3_transformer.h"
#include "rsm/paths/flow_matching.h"

namespace rsm {

/** A text-to-image flow model in diffusers' folder layout: transformer/,
 * text_encoder/, tokenizer/, scheduler/, model_index.json. Without a VAE:
 * latents are pictures in [-1,1]. */
struct FlowModel {
  Sd3Transformer transformer{nullptr};
  ClipTextModel text_encoder{nullptr};
  ClipTokenizer tokenizer;
  FlowMatchSchedule schedule;
  /** Where the tokenizer's files lie, for save(); empty: where save() writes
   * the model. */
  std::string tokenizer_folder = {};

  /** Reads a folder; networks in float32 on the CPU. Throws rsm::Error naming
   * the file, key or tensor that is missing or wrong. */
  static FlowModel load(const std::string& folder);

  /** Writes such a folder, weights as `type`; the tokenizer's files are copied
   * from tokenizer_folder. The model_index.json comes last: a folder without
   * is unfinished. */
  void save(const std::string& folder, torch::ScalarType type) const;

  /** Token ids [B,L] -> the transformer's conditions: SD3 takes the hidden
   * states before the last layer, and the projected embedding of the end
   * token. Carries gradients where grad mode is on. */
  Condition encode_ids(const torch::Tensor& ids) const;

  /** Texts -> conditions, without gradient. */
  Condition encode(const std::vector<std::string>& texts) const;

  /** [C,H,W] of one latent. */
  std::vector<int64_t> latent_shape() const;
};

/** A new transformer with the weights of `model`'s, of another type and on
 * another device. LoRA adapters are not copied. */
Sd3Transformer copy_of(const Sd3Transformer& model, torch::ScalarType type,
                       torch::Device device);

/** Latents in [-1,1] -> pictures in [0,1]. */
torch::Tensor to_images(const torch::Tensor& latents);

}  // namespace rsm
