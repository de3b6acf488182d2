#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/decoder.h"
#include "rsm/base/state_dict.h"
#include "rsm/models/model_layout.h"
#include "rsm/models/network.h"
#include "rsm/models/text_encoders.h"
#include "rsm/paths/path.h"

namespace rsm {

/** Of latents that are pictures in [-1,1]. */
std::shared_ptr<const Decoder> pixel_decoder();

/** How the parts of a model are read. */
struct ModelOptions {
  torch::ScalarType network_type = torch::kFloat32;
  TextOptions text;
  /** Of the VAE; the network is read to the CPU. */
  torch::Device device = torch::kCPU;
  torch::ScalarType vae_type = torch::kFloat32;
  int64_t vae_workers = 1;
};

/** A text-to-image model in diffusers' folder layout (models/model_layout.h).
 */
struct ImageModel {
  Network network;
  std::shared_ptr<TextEncoders> text;
  std::shared_ptr<const Path> path;
  std::shared_ptr<const Decoder> decoder = pixel_decoder();

  /** Reads a folder; the text encoders' weights when they are first needed.
   * Throws rsm::Error naming the file, key or tensor that is missing or wrong;
   * the sizes of the configs are those of the weights before memory is asked
   * for. */
  static ImageModel load(const std::string& folder,
                         const ModelOptions& options = {});

  /** Writes such a folder, of a model with one text encoder and no VAE, weights
   * as `type`; the tokenizer's files lie there, or are copied from where the
   * model was read. The model_index.json comes last: a folder without is
   * unfinished. */
  void save(const std::string& folder, torch::ScalarType type) const;

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

/** Throws as ImageModel::load does for whatever a folder's configs, tokenizers
 * and the headers of its weights say, and returns its text encoders, whose
 * weights are not read; nor is any other. */
std::shared_ptr<TextEncoders> check_model(const std::string& folder,
                                          const TextOptions& options = {});

/** The network of a model folder: its part ("transformer" or "unet") and its
 * weights, as views of their files (io/sharded.h) of which none is read. Throws
 * rsm::Error as ImageModel::load does. */
std::pair<std::string, StateDict> view_network(const std::string& folder);

/** The path of a model folder, without loading its networks. Throws rsm::Error
 * as ImageModel::load does. */
std::shared_ptr<const Path> load_path(const std::string& folder);

/** What a user of a model folder should hear: files or keys that are passed
 * over. */
std::vector<std::string> folder_warnings(const std::string& folder);

/** "12 of 500 training prompts are longer than ...", with the first of them,
 * where no encoder reads them to the end; else "". `what` the texts are, in the
 * plural. */
std::string truncation_warning(const TextEncoders& text,
                               const std::vector<std::string>& texts,
                               const std::string& what);

}  // namespace rsm
