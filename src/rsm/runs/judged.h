#pragma once

#include <cstdint>

#include "rsm/base/decoder.h"
#include "rsm/base/reward.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** What the reward says of pictures [first, first + count) of a rollout, which
 * are decoded and judged as many at once as are to be held; with their features
 * (estimators/diversity.h) where asked for. Throws what the reward throws. */
RewardScores judged(const Rollout& rollout, const Decoder& decoder,
                    const Reward& reward, int64_t first, int64_t count,
                    bool with_features = false);

}  // namespace rsm
