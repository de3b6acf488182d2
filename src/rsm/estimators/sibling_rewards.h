#pragma once

#include <torch/types.h>

#include <cmath>

#include "rsm/base/estimator_knobs.h"

namespace rsm {

/** What siblings' rewards tell of their roots, each [...]. */
struct SiblingRewards {
  torch::Tensor variance;  ///< unbiased
  /** The part of it that is odd in the noise, E[((r(eps) - r(-eps)) / 2)^2]:
   * only that can pull, A eps has a mean of at most its root. A reward that is
   * noisy by itself adds half the variance of that. */
  torch::Tensor odd;
};

/** Of rewards [...,K], K >= 2, and those of the same siblings with the opposite
 * noise (RolloutPlan::mirrored). */
inline SiblingRewards sibling_rewards(const torch::Tensor& rewards,
                                      const torch::Tensor& mirrored) {
  return {(rewards.var(-1) + mirrored.var(-1)) / 2,
          ((rewards - mirrored) / 2).square().mean(-1)};
}

/** What siblings' rewards are divided by that have such a variance; 1 where
 * nothing has. */
inline double sibling_spread(const EstimatorKnobs& knobs, double variance) {
  const bool divides = knobs.spread == EstimatorKnobs::Spread::group;
  return divides && variance > 0 ? std::sqrt(variance) : 1;
}

}  // namespace rsm
