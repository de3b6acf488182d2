#pragma once

#include <torch/optim/adamw.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/io/safetensors.h"
#include "rsm/pretrain/muon.h"

namespace rsm {

/** How a network is trained from random weights. */
struct LearningOptions {
  std::string run_folder;  ///< checkpoint

  int64_t images = 600000;  ///< pictures seen, in all
  int64_t batch = 64;
  double muon_lr = 0.02;
  double adamw_lr = 2e-3;
  int64_t warmup = 3000;       ///< images of linear warm-up
  double cooldown = 0.4;       ///< last share of training, lr falls to 0
  double ema = 0.999;          ///< per step
  int64_t save_every = 20000;  ///< images between checkpoints
};

/** Learning rate multiplier after `seen` images: warm-up, plateau, linear
 * cool-down to zero. */
double learning_rate_factor(const LearningOptions& options, int64_t seen);

/** Parameters in training: hidden matrices and filters by Muon, all others by
 * AdamW with clipped gradients; and their running average, which is what is
 * kept in the end. */
class Learner {
 public:
  using Parameters = std::map<std::string, torch::Tensor>;

  /** `is_hidden` says which parameters are Muon's. */
  Learner(const LearningOptions& options, Parameters parameters,
          const std::function<bool(const std::string&, const torch::Tensor&)>&
              is_hidden);

  /** Trains on from the run folder's checkpoint, if there is one, until
   * options.images were seen. `loss` is that of images first .. first + batch -
   * 1; `saved` is called after each checkpoint on the way. Where the progress
   * asks to stop, the state is saved between two steps and false returned.
   * Throws rsm::Error for a checkpoint of other parameters, and for a loss that
   * is not finite. */
  bool train(const std::function<torch::Tensor(int64_t first)>& loss,
             const std::function<void()>& saved, Progress& progress);

  /** Calls it while the parameters are their averages. */
  void with_averages(const std::function<void()>& use);

 private:
  void step(const torch::Tensor& loss);
  std::string checkpoint() const;
  void save();
  void load();

  LearningOptions options_;
  Parameters parameters_;
  StateDict average_;
  std::unique_ptr<Muon> muon_;
  std::vector<std::string> adamw_names_;
  std::unique_ptr<torch::optim::AdamW> adamw_;
  int64_t seen_ = 0;
};

}  // namespace rsm
