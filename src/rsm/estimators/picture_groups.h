#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** [I] the group of each picture of a rollout, for rewards that see groups
 * (Reward::score_groups): pictures of one prompt whose rows are compared with
 * each other (row_groups, estimators/advantages.h). Where rows lead to several
 * pictures, or pictures stand between rows (trees; paths whose every step is
 * judged), or none are compared (gradients), all of a prompt. A prompt asked
 * for twice is two. Numbered from 0, in order of first appearance. */
std::vector<int64_t> picture_groups(const RolloutIndex& rollout,
                                    const EstimatorKnobs& knobs);

}  // namespace rsm
