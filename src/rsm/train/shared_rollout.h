#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/base/reward.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** Fills a rollout of which ranks drew their shares of the prompts from `kept`
 * on, and counts what all of them evaluated: `own` evaluations, of the network
 * and of the reference, are this rank's. Collective. */
void gather_rollout(Communicator& ranks, int64_t kept, Rollout& rollout,
                    std::pair<int64_t, int64_t> own);

/** Scores of some of a rollout's pictures, by the number of the first. */
using ScoresFrom = std::vector<std::pair<int64_t, RewardScores>>;

/** What ranks' judging came to. */
struct JudgedByRanks {
  ScoresFrom scores;  ///< of all, in the order of the pictures
  bool stopped = false;
  std::string failure;  ///< "rank 2: [...]", of the first where it failed
};

/** Hands on this rank's scores, or why there are none. Collective. */
JudgedByRanks gather_scores(Communicator& ranks, const ScoresFrom& own,
                            bool stopped, const std::string& failure);

}  // namespace rsm
