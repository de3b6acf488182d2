#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"

namespace rsm {

// How far the model is from its reference, at states of an epoch.

struct Drift {
  std::vector<int64_t> states;  ///< where the reference was asked
  std::vector<double> kl;       ///< exact KL of one stochastic step, of each
  /** Root mean square of y_old over that of the reference. */
  double output_ratio = 1;

  /** NaN for a step without any of the states; [N] by step index. */
  std::vector<double> kl_by_step(const RolloutIndex& rollout) const;
  /** Mean KL of the trained states, a step's from those of its states that are
   * known. */
  double mean_kl(const RolloutIndex& rollout,
                 const std::vector<int64_t>& trained) const;
};

Drift measure_drift(const RolloutIndex& rollout, const Outputs& outputs);

/** How far the old outputs are from what pulls: the mean, over states where
 * both are known, of what beta multiplies (KlForm). Forward rows are left out.
 */
double distance_to_pull(const RegularisationKnobs& knobs,
                        const RolloutIndex& rollout, const Outputs& outputs);

/** The largest |log-ratio| of rows between the rollout network's outputs and
 * `outputs.old`; NaN where one is not a number, 0 where rows have no noise. */
double rollout_gap(const Method& method, const Rollout& rollout,
                   const Outputs& outputs, const Guidance& guidance);

}  // namespace rsm
