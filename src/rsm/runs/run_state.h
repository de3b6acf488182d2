#pragma once

#include <torch/optim/adamw.h>

#include <nlohmann/json.hpp>

#include "rsm/models/policy.h"
#include "rsm/runs/checkpoint.h"

namespace rsm {

/** Where a run stands between two epochs. */
struct RunState {
  int64_t epoch = 0;  ///< epochs done
  Spent spent;
  StateDict average;               ///< EMA of the trained weights
  PromptStatistics statistics{1};  ///< of a running baseline
  int64_t skipped_in_a_row = 0;    ///< updates without a finite gradient
  /** Of the newest checkpoint that an epoch found near the reference. */
  int64_t healthy_epoch = 0;
  /** The last epoch's line of the log. */
  nlohmann::json line = nlohmann::json::object();
  /** Whether that line still lacks its evaluation. */
  bool evaluation_due = false;
};

/** The state, the weights and the optimiser: a checkpoint but for what says
 * which run it is of (machine, config, inputs, log). */
Checkpoint to_checkpoint(const RunState& state, const Policy& policy,
                         torch::optim::AdamW& optimiser);

/** The reverse. Sets the policy's and the optimiser's tensors. Throws
 * rsm::Error naming the tensor where those of the checkpoint are not theirs. */
RunState from_checkpoint(const Checkpoint& checkpoint, Policy& policy,
                         torch::optim::AdamW& optimiser);

}  // namespace rsm
