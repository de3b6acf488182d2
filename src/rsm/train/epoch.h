#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/estimators/reward_parts.h"
#include "rsm/objective/scaled_residual.h"
#include "rsm/train/drift.h"
#include "rsm/train/loss_conditions.h"
#include "rsm/train/update_log.h"

namespace rsm {

// What the stations of an epoch hand forward; see Finetune::train_epoch().

struct Collected : Sampled {
  /** Of the reference, where it is part of what samples. */
  int64_t reference_evaluations = 0;
  double rollout_seconds = 0, reward_seconds = 0;
  /** Of the pictures that the epoch drew; `scores` where it trains on them. */
  RewardScores drawn;
  std::vector<PartStanding> parts;  ///< of `drawn`, where rewards are several
  bool is_replayed = false;         ///< whether some are of epochs before
};

struct Frozen : Outputs {
  LossConditions conditions;  ///< of its outputs, and of the updates'
  OutputMap map;              ///< of the method's policy; `old` is its result
  Drift drift;
  double rollout_gap = 0;
  double reference_kl = 0;  ///< to what pulls, where that may be reset
  int64_t old_evaluations = 0, reference_evaluations = 0;
  double seconds = 0;
  std::vector<std::string> warnings;
};

/** All that is known when an epoch's updates begin; refers to it. */
struct Prepared {
  const Collected& sampled;
  const Guidance& guidance;
  const Frozen& frozen;

  /** To the reference, over the trained states. */
  double mean_kl() const {
    return frozen.drift.mean_kl(sampled.rollout, guidance.trained);
  }
};

/** The epoch's line of the run log, but for its counters; `learn_seconds` went
 * into what the estimator learnt after the updates. */
nlohmann::json log_line(const Prepared& epoch, const UpdateLog& updates,
                        double learn_seconds);

}  // namespace rsm
