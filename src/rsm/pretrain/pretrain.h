#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/models/image_model.h"
#include "rsm/pretrain/learner.h"

namespace rsm {

/** How the small shipped models are made: the network, a small SD3 transformer
 * (flow) or UNet (diffusion), learns together with its text encoder to predict
 * what its path asks for, on pictures of the shapes world. */
struct PretrainOptions : LearningOptions {
  uint64_t seed = 42;
  std::string model_folder;  ///< where the finished model goes

  Family family = Family::flow;
  int64_t width = 128;  ///< of the text encoder and the transformer
  int64_t heads = 4;    ///< of every attention
  int64_t layers = 4;   ///< of the transformer
  int64_t patch = 4;    ///< of the transformer
  /** Of the UNet's levels; those of 8 pixels and fewer have attention. */
  std::vector<int64_t> channels = {16, 48, 96};
  int64_t text_layers = 2;
  int64_t max_tokens = 16;

  double caption_noise = 0.15;    ///< share of pictures that contradict
  double caption_dropout = 0.10;  ///< share trained on the empty prompt

  /** Flows: t = sigmoid(time_mean + time_std z). Diffusion models see all
   * timesteps alike. */
  double time_mean = 0.8;
  double time_std = 1.0;
  int64_t threads = 0;  ///< cores; 0: all
  torch::Device device = torch::kCPU;
};

/** A new model of the shapes world, untrained: adaptive norms and output zero,
 * matrices Xavier-normal, words normal with std 0.5. */
ImageModel new_shapes_model(const PretrainOptions& options,
                            const std::string& folder);

/** Trains, or continues from the run folder's checkpoint, and writes the
 * averaged weights to the model folder as bfloat16. Where the progress asks to
 * stop, the state is saved between two steps and the function returns false. */
bool pretrain(const PretrainOptions& options, Progress& progress);

}  // namespace rsm
