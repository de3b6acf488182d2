#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/reward.h"
#include "rsm/methods/branch_budget.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** How many branches each step has from an epoch on, and why. */
struct BranchChoice {
  std::vector<int64_t> branches;  ///< [N]
  std::vector<double> weights;    ///< [N] on g(t); none: 1
  /** [N] for the log: "branch_variance" and "branch_odd" of siblings' rewards,
   * "branch_worth", their gain by cost over the best step's. */
  std::map<std::string, std::vector<double>> by_step;
  int64_t images = 0, evaluations = 0;  ///< that it took
  double seconds = 0;
};

/** Of every step before the last, from the means over roots [N - 1] of
 * siblings' variance and its odd part, up to one factor for all steps: with
 * h(t) the strength of the method and d what it divides rewards by, the signal
 * is at most h^2 odd / d^2, the noise h^2 variance / d^2, the spread d. A
 * branch costs the evaluations that lead to its picture, and one for the
 * picture. */
std::vector<StepWorth> worth_by_step(const Method& method,
                                     const RolloutPlan& plan,
                                     const Transitions& transitions,
                                     const std::vector<double>& variance,
                                     const std::vector<double>& odd);

/** [N - 1] factors on h(t) in proportion to the gain over the noise of K_i
 * branches, 1 where there are none: the sum of h over the others stays. Where
 * noise is by far the most, as here, it is how gradients of several times are
 * added with the least error. */
std::vector<double> weights_by_step(const Method& method,
                                    const Transitions& transitions,
                                    const std::vector<StepWorth>& worth,
                                    const std::vector<int64_t>& branches);

/** The choice at the beginning of an epoch (method.estimator.budget): the
 * request's roots branch twice at every step, and again with opposite noise,
 * which is counted by itself: no row is trained on. `branches` [N] of the
 * config say what may be spent, in such costs. Where no
 * reward differs, `branches` it is. Throws what the reward throws. */
BranchChoice choose_branches(const RunOptions& options,
                             const std::vector<int64_t>& branches,
                             RolloutRequest request, Denoiser& sampler,
                             const Path& path, const Decoder& decoder,
                             const Reward& reward);

}  // namespace rsm
