#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/base/progress.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/image_model.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** What `sample` and `evaluate` share: which model, and how it is sampled. */
struct ModelArguments {
  std::string model;
  std::string lora;  ///< folder or file of a LoRA; see load_lora()
  double guidance_scale = 2;
  std::string negative_prompt;  ///< what guidance leads away from
  std::string size;             ///< see read_size(); empty: the network's own
  int64_t steps = 10;
  std::string solver = "euler";
  uint64_t seed = 0;
  std::string device = "cpu";
  std::string type = "float32";
  std::string text_type = "float32";
  std::string vae_type = "float32";
  int64_t t5_tokens = 256;
  bool no_t5 = false;
  int64_t tile = 16;

  void add_to(CLI::App& command);
};

/** "N" or "HxW" in pixels as [H,W]; "" as []. Throws rsm::UsageError naming
 * --size for anything else. */
std::vector<int64_t> read_size(const std::string& text);

/** A loaded model, ready to sample. */
struct SamplingModel {
  ImageModel model;
  std::unique_ptr<GuidedNetwork> denoiser;
  Solving solving;
  std::vector<double> times;          ///< of its steps
  std::vector<std::string> warnings;  ///< of the model's folder
  torch::Device device = torch::kCPU;
  std::vector<int64_t> latent_shape = {};
  std::string negative_prompt = {};

  /** Height of a picture in pixels, and its width. */
  int64_t height() const { return latent_shape[1] * model.decoder->scale(); }
  int64_t width() const { return latent_shape[2] * model.decoder->scale(); }

  /** Says what a user should hear of the model's folder and of prompts, the
   * negative one included, that its tokenizer cuts. */
  void warn_of(const std::vector<std::string>& prompts,
               Progress& progress) const;
};

/** On the device and the cores of a rank. Throws rsm::UsageError for what can
 * be refused before a model is loaded; what loading throws. */
SamplingModel load_for_sampling(const ModelArguments& arguments,
                                Communicator& ranks);

}  // namespace rsm
