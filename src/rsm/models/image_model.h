#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/conditioner.h"
#include "rsm/base/decoder.h"
#include "rsm/base/state_dict.h"
#include "rsm/models/network.h"
#include "rsm/paths/path.h"
#include "rsm/text/clip_text.h"
#include "rsm/text/clip_tokenizer.h"

namespace rsm {

/** Of latents that are pictures in [-1,1]. */
std::shared_ptr<const Decoder> pixel_decoder();

/** A text-to-image model in diffusers' folder layout: transformer/ or unet/,
 * text_encoder/, tokenizer/, scheduler/, model_index.json. Without a VAE:
 * latents are pictures in [-1,1].
 *
 *     family     network                 text encoder                 path
 *     flow       SD3Transformer2DModel   CLIPTextModelWithProjection  flow
 *     diffusion  UNet2DConditionModel    CLIPTextModel                DDIM */
struct ImageModel {
  Network network;
  ClipTextModel text_encoder{nullptr};
  ClipTokenizer tokenizer;
  std::shared_ptr<const Path> path;
  /** Where the tokenizer's files lie, for save(); empty: where save() writes
   * the model. */
  std::string tokenizer_folder = {};
  std::shared_ptr<const Decoder> decoder = pixel_decoder();

  /** Reads a folder; networks in float32 on the CPU. Throws rsm::Error naming
   * the file, key or tensor that is missing or wrong; the sizes of the configs
   * are those of the weights before memory is asked for. */
  static ImageModel load(const std::string& folder);

  /** Writes such a folder, weights as `type`; the tokenizer's files are copied
   * from tokenizer_folder. The model_index.json comes last: a folder without
   * is unfinished. */
  void save(const std::string& folder, torch::ScalarType type) const;

  /** Token ids [B,L] -> the network's conditions. SD3 takes the hidden states
   * before the last layer, and the projected embedding of the end token;
   * Stable Diffusion 1.x the last hidden states. Carries gradients where grad
   * mode is on. */
  Condition encode_ids(const torch::Tensor& ids) const;

  /** Texts -> conditions, without gradient, a fixed number of texts a call, so
   * that a text's condition does not depend on the others. */
  Condition encode(const std::vector<std::string>& texts) const;

  /** [C,H,W] of the latent of a picture of `size` [H,W] in pixels, or of the
   * network's own size where that is empty. Throws rsm::Error for a size that
   * the decoder or the network does not take. */
  std::vector<int64_t> latent_shape(
      const std::vector<int64_t>& size = {}) const;
};

/** A copy of the model folder `from` with other weights of the network, written
 * as `type`; all else is copied file by file. As save(), model_index.json comes
 * last. */
void save_with_weights(const std::string& from, const std::string& to,
                       const StateDict& network, torch::ScalarType type);

/** Throws as ImageModel::load does for whatever a folder's configs, tokenizer
 * and the headers of its weights say; no weight is read. */
void check_model(const std::string& folder);

/** The path of a model folder, without loading its networks. Throws rsm::Error
 * as ImageModel::load does. */
std::shared_ptr<const Path> load_path(const std::string& folder);

/** The tokenizer of a model folder, for lengths the text encoder takes. Throws
 * rsm::Error as ImageModel::load does. */
ClipTokenizer load_tokenizer(const std::string& folder);

/** What a user of a model folder should hear: files or keys that are passed
 * over. */
std::vector<std::string> folder_warnings(const std::string& folder);

/** "12 of 500 training prompts are longer than ...", with the first of them,
 * where the tokenizer cuts texts; else "". `what` the texts are, in the plural.
 */
std::string truncation_warning(const ClipTokenizer& tokenizer,
                               const std::vector<std::string>& texts,
                               const std::string& what);

/** A model's text encoder, whose conditions go to a device. */
class TextConditioner : public Conditioner {
 public:
  /** The model must outlive it. */
  TextConditioner(const ImageModel& model, torch::Device device)
      : model_(model), device_(device) {}
  Condition encode(const std::vector<std::string>& texts) const override {
    return model_.encode(texts).to(device_);
  }

 private:
  const ImageModel& model_;
  torch::Device device_;
};

}  // namespace rsm
