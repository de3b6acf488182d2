#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/method.h"
#include "rsm/base/rollout.h"
#include "rsm/estimators/baselines.h"
#include "rsm/rollouts/running_cost.h"

namespace rsm {

// Returns that aim at the soft value V = alpha log E_ref[e^(r / alpha) | x],
// where a reward by itself aims at E[r | x]. Along the optimal policy the two
// differ by what its later steps pay: V = E[r - sum alpha KL(step)].

/** What rows are compared by beside rewards; nothing where returns are hard. */
struct SoftReturn {
  std::vector<double> cost;   ///< [R] of soft ones; else empty
  std::vector<double> alpha;  ///< [R] of exponential ones; else empty

  bool is_on() const { return !cost.empty() || !alpha.empty(); }
};

/** What a method's rollout pays, by its own temperature (temperature.h); the
 * reference must outlive it. Nothing where its returns are not soft. */
RunningCost running_cost(const Method& method, Denoiser& reference);

/** Of a rollout's rows. Throws rsm::Error where costs are not finite. */
SoftReturn soft_return(const Method& method, const Rollout& rollout);

/** What is compared: sums of advantages, not clipped, and rewards [n]. */
struct Compared {
  AdvantageSums sums;
  std::vector<double> rewards;
};

/** Turns what is known of rows, or of the pictures that a path's rows share,
 * into what is known of the rows' returns. `label` [R] says which rows are
 * compared; those of paths, and exponentials, are within one step alone.
 *
 *     soft         A - (C - baseline of C), in A's own units, so that what
 *                  divides rewards divides no cost. The baseline is as of
 *                  rewards (of `running`, the group's mean). Rows of a group
 *                  whose rewards have no spread and whose costs have are alive
 *     exponential  alpha (e^(A / alpha) / mean of it over the group - 1)
 */
Compared softened(const Compared& rewarded, const SoftReturn& soft,
                  const std::vector<int64_t>& label, bool path,
                  const RolloutIndex& rollout, const EstimatorKnobs& knobs);

/** [N] means of the rows' costs at each step, NaN where none has any. */
std::vector<double> cost_by_step(const RolloutIndex& rollout,
                                 const SoftReturn& soft);

}  // namespace rsm
