#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** The skip_steps of an epoch, counted from 0: after every slide_every epochs
 * one step nearer to the noise, until the first is slide_stop. Source: the
 * sliding window of Branch-GRPO's release. */
std::vector<int64_t> skipped_steps(const TreeKnobs& knobs, int64_t epoch);

/** [R] which rows of a tree are trained. Source: the width and depth pruning
 * of Branch-GRPO, arXiv 2509.06040.
 * keep_leaves: of each root's pictures, n = ceil(share * pictures) are kept by
 * their rewards [I] (of equal ones the first is the best): the best, or for
 * Keep::extremes the n / 2 best and the rest of n, at least one each, from the
 * worst. A row of a step after the last split leads to one picture and is
 * trained where that is kept; rows at and above the last split are all trained.
 * skip_steps: no row of these steps is trained.
 * Throws rsm::Error for a share outside (0,1] and for a row after the last
 * split that leads to several pictures. */
std::vector<bool> trained_rows(const RolloutIndex& rollout,
                               const std::vector<double>& rewards,
                               const TreeKnobs& knobs);

}  // namespace rsm
