#pragma once

#include <torch/optim/adamw.h>

#include "rsm/base/progress.h"
#include "rsm/estimators/prompt_statistics.h"
#include "rsm/train/checkpoint.h"
#include "rsm/train/policy.h"

namespace rsm {

/** What a run has used so far. */
struct Spent {
  int64_t images = 0;        ///< pictures sampled for training
  int64_t evaluations = 0;   ///< network evaluations for training, by sample
  int64_t updates = 0;       ///< optimiser steps
  double train_seconds = 0;  ///< evaluation and checkpoints apart
  double wall_seconds = 0;
};

/** Where a run stands between two epochs. */
struct RunState {
  int64_t epoch = 0;  ///< epochs done
  Spent spent;
  StateDict average;               ///< EMA of the trained weights
  PromptStatistics statistics{1};  ///< of a running baseline
};

/** Everything needed to go on: the state, the weights and the optimiser. */
Checkpoint to_checkpoint(const RunState& state, const Policy& policy,
                         torch::optim::AdamW& optimiser);

/** The reverse. Sets the policy's and the optimiser's tensors; warns through
 * `progress` where the checkpoint is of another machine, whose numbers differ
 * in the last bits. */
RunState from_checkpoint(const Checkpoint& checkpoint, Policy& policy,
                         torch::optim::AdamW& optimiser, Progress& progress);

}  // namespace rsm
