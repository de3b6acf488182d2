#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/models/image_model.h"

namespace rsm {

/** How the small shipped models are made: the network, a small SD3 transformer
 * (flow) or UNet (diffusion), learns together with its text encoder to predict
 * what its path asks for, on pictures of the shapes world. */
struct PretrainOptions {
  uint64_t seed = 42;
  std::string run_folder;    ///< checkpoint and log
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

  int64_t images = 600000;  ///< pictures seen, in all
  int64_t batch = 64;
  double muon_lr = 0.02;
  double adamw_lr = 2e-3;
  int64_t warmup = 3000;  ///< images of linear warm-up
  double cooldown = 0.4;  ///< last share of training, lr falls to 0
  double ema = 0.999;     ///< per step
  /** Flows: t = sigmoid(time_mean + time_std z). Diffusion models see all
   * timesteps alike. */
  double time_mean = 0.8;
  double time_std = 1.0;
  int64_t save_every = 20000;  ///< images between checkpoints
  int64_t threads = 0;         ///< cores; 0: all
  torch::Device device = torch::kCPU;
};

/** Learning rate multiplier after `seen` images: warm-up, plateau, linear
 * cool-down to zero. */
double learning_rate_factor(const PretrainOptions& options, int64_t seen);

/** A new model of the shapes world, untrained: adaptive norms and output zero,
 * matrices Xavier-normal, words normal with std 0.5. */
ImageModel new_shapes_model(const PretrainOptions& options,
                            const std::string& folder);

/** Trains, or continues from the run folder's checkpoint, and writes the
 * averaged weights to the model folder as bfloat16. Where the progress asks to
 * stop, the state is saved between two steps and the function returns false. */
bool pretrain(const PretrainOptions& options, Progress& progress);

}  // namespace rsm
