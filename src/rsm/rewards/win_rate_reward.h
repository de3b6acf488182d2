#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "rsm/base/reward.h"

namespace rsm {

/** [B] float32 in [0,1]: the share of the others of its group that each value
 * beats, of equals half; 0.5 where it is alone. The mean over a group is 0.5.
 * `value` [B] is finite, `group` [B] any labels in any order. Source: win rates
 * of pairwise preferences, Pref-GRPO, arXiv 2508.20751. */
torch::Tensor win_rates(const torch::Tensor& value,
                        const std::vector<int64_t>& group);

/** The reward `win-rate:REWARD`: score_groups() gives win_rates() of what `of`
 * says, so that only the order of siblings trains; score() gives what `of` says
 * itself, since a mean win rate is 0.5 whatever the model. Its metrics are
 * those of `of` and, under its name, its value; results are told in them. A
 * black box. Throws rsm::UsageError where `of` sees groups itself; scoring
 * throws rsm::Error where a value is not finite, naming the picture. */
std::unique_ptr<Reward> make_win_rate_reward(std::unique_ptr<Reward> of);

}  // namespace rsm
