#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/decoder.h"
#include "rsm/base/method.h"
#include "rsm/base/reward.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** How pictures are judged beside one by one. */
struct Judging {
  /** The label of each of the rollout's pictures (estimators/picture_groups.h):
   * a reward that sees groups is asked for whole ones. Empty: it judges
   * pictures alone. */
  std::vector<int64_t> groups;
  /** Scores come with pictures' features (estimators/diversity.h). */
  bool with_features = false;
};

/** How an epoch's pictures are: in their groups where the reward sees those. */
Judging judging_of(const Reward& reward, const RolloutIndex& rollout,
                   const EstimatorKnobs& knobs);

/** What the reward says of pictures [first, first + count) of a rollout, which
 * are decoded and judged as many at once as are to be held; groups are whole
 * however large, and have to be all within the range or all without. Throws
 * what the reward throws. */
RewardScores judged(const Rollout& rollout, const Decoder& decoder,
                    const Reward& reward, int64_t first, int64_t count,
                    const Judging& how = {});

}  // namespace rsm
