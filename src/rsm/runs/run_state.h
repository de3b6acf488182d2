#pragma once

#include <torch/optim/adamw.h>

#include <nlohmann/json.hpp>

#include "rsm/base/estimator.h"
#include "rsm/models/policy.h"
#include "rsm/runs/checkpoint.h"

namespace rsm {

/** Where a run stands between two epochs. */
struct RunState {
  int64_t epoch = 0;  ///< epochs done
  Spent spent;
  int64_t skipped_in_a_row = 0;  ///< updates without a finite gradient
  /** Of the newest checkpoint that an epoch found near the reference. */
  int64_t healthy_epoch = 0;
  ResetCount resets;
  /** The last epoch's line of the log. */
  nlohmann::json line = nlohmann::json::object();
  /** Whether that line still lacks its evaluation. */
  bool evaluation_due = false;
};

/** The state, the weights, the optimiser and the estimator: a checkpoint but
 * for what says which run it is of (machine, config, inputs, log). */
Checkpoint to_checkpoint(const RunState& state, const Policy& policy,
                         torch::optim::AdamW& optimiser,
                         const Estimator& estimator);

/** The reverse. Sets the tensors of policy, optimiser and estimator. Throws
 * rsm::Error naming the tensor where those of the checkpoint are not theirs. */
RunState from_checkpoint(const Checkpoint& checkpoint, Policy& policy,
                         torch::optim::AdamW& optimiser, Estimator& estimator);

/** K_i [N] that a run goes on with, by the last line of its log: none where its
 * branches are not chosen by measurement, or were not yet. */
std::vector<int64_t> chosen_branches(const RunOptions& options,
                                     const nlohmann::json& line);

/** The weights of steps [N], in the same way. */
std::vector<double> chosen_weights(const RunOptions& options,
                                   const nlohmann::json& line);

}  // namespace rsm
