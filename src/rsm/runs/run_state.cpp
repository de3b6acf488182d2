#include "rsm/runs/run_state.h"

#include "rsm/models/loading.h"
#include "rsm/runs/optimizer_state.h"

namespace rsm {

Checkpoint to_checkpoint(const RunState& state, const Policy& policy,
                         torch::optim::AdamW& optimiser) {
  Checkpoint checkpoint;
  checkpoint.epoch = state.epoch;
  checkpoint.spent = state.spent;
  checkpoint.statistics = state.statistics;
  add_with_prefix(checkpoint.tensors, "trained.", policy.trainable());
  add_with_prefix(checkpoint.tensors, "average.", state.average);
  add_with_prefix(checkpoint.tensors, "adamw.",
                  adamw_state(optimiser, policy.names()));
  checkpoint.evaluation_due = state.evaluation_due;
  checkpoint.healthy_epoch = state.healthy_epoch;
  checkpoint.skipped_in_a_row = state.skipped_in_a_row;
  return checkpoint;
}

RunState from_checkpoint(const Checkpoint& checkpoint, Policy& policy,
                         torch::optim::AdamW& optimiser) {
  RunState state;
  state.epoch = checkpoint.epoch;
  state.spent = checkpoint.spent;
  state.statistics = checkpoint.statistics;
  state.evaluation_due = checkpoint.evaluation_due;
  state.healthy_epoch = checkpoint.healthy_epoch;
  state.skipped_in_a_row = checkpoint.skipped_in_a_row;
  policy.load_trainable(with_prefix(checkpoint.tensors, "trained."));
  state.average = policy.trainable();  // on the policy's device
  copy_tensors(state.average, with_prefix(checkpoint.tensors, "average."),
               "checkpoint, average");
  policy.refresh_rollout();
  load_adamw_state(optimiser, policy.names(),
                   with_prefix(checkpoint.tensors, "adamw."));
  return state;
}

}  // namespace rsm
