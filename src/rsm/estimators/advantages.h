#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/prompt_statistics.h"
#include "rsm/estimators/soft_return.h"

namespace rsm {

/** A = clamp((r - baseline) / (spread + offset), -clip, clip), in float64, of
 * rewards [R] with any group labels [R].
 *
 *     baseline       taken off             (r - baseline) is
 *     mean           mean of the group     r - mean
 *     leave_one_out  mean of the others    (r - mean) K / (K - 1)
 *     none           nothing               r
 *
 * spread is the standard deviation of the group, or of all rewards (global),
 * with squares divided by K (by K - 1: unbiased_spread); for Spread::none
 * nothing divides. offset is spread_offset. Sources: Flow-GRPO (mean; offset
 * 1e-4), RLOO (arXiv 2402.14740).
 *
 * A group whose rewards have no spread (moments.h) is dead, and so is a group
 * of one; without a baseline none is. Throws rsm::Error for a running baseline
 * (it needs prompts), sizes that differ, a clip that is not above 0, an offset
 * below 0, and a reward that is not finite, naming it. */
Advantages group_advantages(const torch::Tensor& rewards,
                            const std::vector<int64_t>& group,
                            const EstimatorKnobs& knobs, double clip);

/** Rows that are compared with nothing, in one group: `value` [R] float32 and
 * `alive` [R] bool as they are. `deviation` is that of `rewards`. */
Advantages uncompared(const torch::Tensor& value, const torch::Tensor& alive,
                      const torch::Tensor& rewards);

/** [R] labels of the rows compared with each other; a prompt asked for twice is
 * two prompts here. Branches: one of each
 * (prompt, step), of each (root, step), of each root or one for all; trees: the
 * same and one of each step for all; rows of a path: one of each prompt, of
 * each root or one for all. */
std::vector<int64_t> row_groups(const RolloutIndex& rollout,
                                const EstimatorKnobs& knobs);

/** Advantages of a rollout's rows from the scores of its images [I].
 *
 * The rows of a path, or of a picture, share their image's advantage, which is
 * taken over images; branches and trees are compared row by row. A row's reward
 * is the mean over the images it led to (Branch-GRPO, arXiv 2509.06040).
 * Spread::global is that of the images' rewards. Rows of a tree that
 * trained_rows leaves out are not alive, and count in means and spreads;
 * skip_steps are taken as they stand.
 *
 * Combine::rewards compares scores.value. Combine::advantages compares each of
 * scores.parts that has a weight, adds up weight times advantage and clips the
 * sum; a row is alive where any part's group is. Scores without parts are one
 * part of weight 1. Combine::normalised standardises the sums of all candidates
 * before that clip (baselines.h). `deviation` is that of scores.value.
 *
 * Baseline::running is DDPO's: rewards of the images are first added to
 * `statistics`; r is compared with the mean (and, for Spread::group, divided by
 * the deviation) of its prompt's buffer, or of all the images' rewards while
 * that holds fewer than buffer_least. So it is called once an epoch. Grouping
 * then only says which rows are counted together. A row is dead where the
 * rewards it is compared with have no spread.
 *
 * Baseline::previous_step compares the rows of a path at one step by
 * r(row_image) - r(row_image - 1), their means and spreads too.
 *
 * With a soft or exponential return (`soft`) rows are compared one by one, also
 * those of a path: see softened(). Spreads stay those of rewards.
 *
 * Forward rows have the advantage of the branch that led to their picture, then
 * squashed and scaled as their own knobs say.
 *
 * Throws rsm::Error as group_advantages does, for a missing or differently
 * sized `statistics` with a running baseline, for scores that are not one an
 * image, parts that all weigh 0, and rows without images. Errors leave
 * `statistics` as it was. */
Advantages row_advantages(const RolloutIndex& rollout,
                          const RewardScores& scores,
                          const EstimatorKnobs& knobs, double clip,
                          PromptStatistics* statistics,
                          const SoftReturn& soft = {});

/** Spread of the groups that have rows at a step. */
struct StepSpread {
  int64_t groups = 0;
  double spread = 0;      ///< mean over groups
  double dead_share = 0;  ///< dead groups / groups
};

/** [N] by step index; zeros at steps without rows. */
std::vector<StepSpread> spread_by_step(const RolloutIndex& rollout,
                                       const Advantages& advantages);

}  // namespace rsm
