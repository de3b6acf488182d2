#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "rsm/runs/run_options.h"
#include "rsm/train/epoch.h"

namespace rsm {

// Telling a model that broke from a reward that has nothing to say.

/** Updates skipped one after another, over epochs, before a run stops. */
constexpr int64_t kMostSkippedInARow = 5;

/** Where the model has left where it began: KL above 1 a step and latent
 * element, more than a standard deviation of the sampler's noise, or outputs
 * half or twice as large as the reference's. What to say then; else "". */
std::string drift_warning(double mean_kl, double output_ratio,
                          const std::string& run_folder);

/** What is wrong with final latents [I,C,H,W] that no reward can be blamed for:
 * numbers that are not finite, or far larger than any picture's. "" where
 * nothing is. */
std::string broken_pictures(const torch::Tensor& latents);

/** Throws rsm::Error where pictures are not finite: no judge is asked. */
void check_finite(const torch::Tensor& latents, const std::string& run_folder);

/** What an epoch's log tells the next one. */
struct EpochBefore {
  bool is_trained = false;  ///< it is one of training
  double kl = 0;            ///< to the reference, a step and latent element
  int64_t dead_epochs = 0;  ///< up to it, in a row, without any reward spread
};

/** Of a line of the log; the one before the first epoch has none of it. */
EpochBefore epoch_before(const nlohmann::json& line);

/** What to say of groups without spread; "" where there are few. An epoch of
 * dead groups alone is passed over, by chance or because the reward is reached:
 * `options.dead_epochs` of them in a row. The first epoch of a run, and one
 * more in a row, throw rsm::Error with advice. It names the reward, or where
 * pictures are broken or the epoch before had a KL above 1, which is never
 * passed over, the model. */
std::string dead_groups_warning(const Sampled& sampled,
                                const Advantages& advantages,
                                const std::string& reward,
                                const EpochBefore& before,
                                const RunOptions& options);

/** The likely reason of a gradient that is not finite. */
std::string why_not_finite(const torch::Tensor& y_old, double mean_kl,
                           double output_ratio);

/** How to go on from weights that were still whole. */
std::string way_back(const std::string& run_folder);

}  // namespace rsm
