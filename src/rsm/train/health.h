#pragma once

#include <cstdint>
#include <string>

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

/** What to say of groups without spread; "" where there are few. Throws
 * rsm::Error with advice where every group is dead. It names the reward, or
 * where pictures are broken or the epoch before had a KL of `kl_before` above
 * 1, the model. */
std::string dead_groups_warning(const Sampled& sampled,
                                const Advantages& advantages,
                                const std::string& reward, double kl_before,
                                const std::string& run_folder);

/** The likely reason of a gradient that is not finite. */
std::string why_not_finite(const torch::Tensor& y_old, double mean_kl,
                           double output_ratio);

/** How to go on from weights that were still whole. */
std::string way_back(const std::string& run_folder);

}  // namespace rsm
