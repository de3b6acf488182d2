#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/pretrain/learner.h"
#include "rsm/pretrain/scorer_samples.h"
#include "rsm/worlds/shapes_scorer.h"

namespace rsm {

/** How models/shapes-scorer is made: it learns what the exact checker says of
 * renders and of a model's own samples, of training captions alone. */
struct ScorerOptions : LearningOptions {
  uint64_t seed = 42;
  std::string model_folder;  ///< where the finished scorer goes
  shapes::ScorerConfig network;

  std::string model = "models/shapes-flow";  ///< whose samples it learns from
  /** How many of them, half without text guidance, half at a scale of 2. */
  int64_t samples = 4800;
  /** As many others, which it is calibrated on in the end; 0: it is not. */
  int64_t calibration = 600;
  double sample_share = 0.6;  ///< of the pictures of a batch; others: renders
  /** Noise of up to this standard deviation is added, pictures in [-1,1]. */
  double noise = 0.1;
  /** Of the loss of cells against what the checker found there. */
  double object_weight = 0.3;

  int64_t measured_renders = 4000;
  int64_t measured_samples = 1200;  ///< of each of the models below
  std::vector<std::string> measured_models = {"models/shapes-flow"};

  int64_t threads = 0;  ///< cores; 0: all
  torch::Device device = torch::kCPU;
};

/** Loss of cells [B,kCellPlanes,8,8] against what JudgedPictures::objects says,
 * per picture: of every cell whether an object is there, and of those with one
 * its shape, its colour and where it lies. */
torch::Tensor object_loss(const torch::Tensor& cells,
                          const torch::Tensor& objects);

/** What to divide logits [N] by, from 0.5 to 10 in hundredths, so that labels
 * [N] are likeliest. */
double likeliest_temperature(const torch::Tensor& logits,
                             const torch::Tensor& labels);

/** Trains, or continues from the run folder's checkpoint, and writes the
 * averaged weights to the model folder as bfloat16, calibrated. The model's
 * samples are drawn once and kept in the run folder. Where the progress asks to
 * stop, the state is saved between two steps and the function returns false. */
bool pretrain_scorer(const ScorerOptions& options, Progress& progress);

/** Chances between two tenths. */
struct ReliabilityBin {
  int64_t count = 0;
  double chance = 0;  ///< their mean
  double truth = 0;   ///< share of true ones; both NaN where there are none
};

/** How right a scorer's chances are. */
struct ScorerMeasure {
  std::string what;  ///< "renders", or the model that drew the pictures
  int64_t count = 0;
  double truth = 0;     ///< share of true captions
  double accuracy = 0;  ///< of a chance above one half
  /** Expected calibration error: mean over pictures of |chance - truth| of
   * their bin. Source: Guo et al. 2017, arXiv:1706.04599, eq. 3. */
  double calibration_error = 0;
  std::vector<ReliabilityBin> bins;  ///< ten
};

/** `chances` and `labels` [N]. */
ScorerMeasure measure_chances(const std::string& what,
                              const torch::Tensor& chances,
                              const torch::Tensor& labels);

/** The scorer of the model folder on held-out captions: on renders, half of
 * them with a true caption, and on samples of each measured model, half at each
 * guidance scale, with the captions they were drawn for. Training saw none. */
std::vector<ScorerMeasure> measure_scorer(const ScorerOptions& options,
                                          Progress& progress);

}  // namespace rsm
