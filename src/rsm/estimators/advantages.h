#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** How good each row was, compared with the rows of its group. */
struct Advantages {
  torch::Tensor value;         ///< [R] float32; 0 for dead rows
  torch::Tensor alive;         ///< [R] bool; false where the group is dead
  std::vector<int64_t> group;  ///< [R] 0-based, in order of first appearance
  /** [groups] population standard deviation of each group's rewards. */
  std::vector<double> spread;
  /** Groups whose rewards are all the same: nothing to learn from. */
  int64_t dead_groups = 0;

  int64_t groups() const { return static_cast<int64_t>(spread.size()); }
};

/** A group with a standard deviation below this is dead. */
constexpr double kDeadSpread = 1e-12;
/** Added to a spread before dividing by it. Source: Flow-GRPO's release. */
constexpr double kSpreadOffset = 1e-4;

/** A = clamp((r - mean of group) / (spread + 1e-4), -clip, clip), in float64.
 * rewards [R], group [R] any labels; spread is the population standard
 * deviation of the group, or of all rewards (global), or nothing divides
 * (none). Throws rsm::Error for sizes that differ, a clip that is not above 0,
 * and a reward that is not finite, naming it. */
Advantages group_advantages(const torch::Tensor& rewards,
                            const std::vector<int64_t>& group,
                            EstimatorKnobs::Spread spread, double clip);

/** [R] labels of the rows compared with each other. Branches: one of each
 * (prompt, step), of each (root, step) or one for all; rows of a rollout: one
 * of each prompt, of each root or one for all. */
std::vector<int64_t> row_groups(const Rollout& rollout,
                                const EstimatorKnobs& knobs);

/** Advantages of a rollout's rows from its images' rewards [I]. The rows of a
 * stochastic path share their image's advantage, which is taken over images;
 * branches are compared row by row. */
Advantages row_advantages(const Rollout& rollout, const torch::Tensor& rewards,
                          const EstimatorKnobs& knobs, double clip);

/** Spread of the groups that have rows at a step. */
struct StepSpread {
  int64_t groups = 0;
  double spread = 0;      ///< mean over groups
  double dead_share = 0;  ///< dead groups / groups
};

/** [N] by step index; zeros at steps without rows. */
std::vector<StepSpread> spread_by_step(const Rollout& rollout,
                                       const Advantages& advantages);

}  // namespace rsm
