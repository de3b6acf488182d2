#include "rsm/train/run_state.h"

#include "rsm/base/error.h"
#include "rsm/train/optimizer_state.h"

namespace rsm {

Checkpoint to_checkpoint(const RunState& state, const Policy& policy,
                         torch::optim::AdamW& optimiser) {
  Checkpoint checkpoint;
  checkpoint.epoch = state.epoch;
  add_with_prefix(checkpoint.tensors, "trained.", policy.trainable());
  add_with_prefix(checkpoint.tensors, "average.", state.average);
  add_with_prefix(checkpoint.tensors, "adamw.",
                  adamw_state(optimiser, policy.names()));
  checkpoint.counters = {{"images", state.spent.images},
                         {"evaluations", state.spent.evaluations},
                         {"updates", state.spent.updates},
                         {"train_seconds", state.spent.train_seconds},
                         {"wall_seconds", state.spent.wall_seconds},
                         {"statistics", state.statistics.to_json()},
                         {"machine", machine_fingerprint()}};
  return checkpoint;
}

RunState from_checkpoint(const Checkpoint& checkpoint, Policy& policy,
                         torch::optim::AdamW& optimiser, Progress& progress) {
  const auto& c = checkpoint.counters;
  RunState state;
  state.epoch = checkpoint.epoch;
  state.spent.images = c.at("images");
  state.spent.evaluations = c.at("evaluations");
  state.spent.updates = c.at("updates");
  state.spent.train_seconds = c.at("train_seconds");
  state.spent.wall_seconds = c.at("wall_seconds");
  state.statistics = PromptStatistics::from_json(c.at("statistics"));
  policy.load_trainable(with_prefix(checkpoint.tensors, "trained."));
  state.average = policy.trainable();  // on the policy's device
  for (const auto& [name, tensor] :
       with_prefix(checkpoint.tensors, "average.")) {
    state.average.at(name).copy_(tensor);
  }
  policy.refresh_rollout();
  load_adamw_state(optimiser, policy.names(),
                   with_prefix(checkpoint.tensors, "adamw."));
  if (c.at("machine") != machine_fingerprint()) {
    progress.say(cat("warning: the run began on ",
                     c.at("machine").get<std::string>(), ", this is ",
                     machine_fingerprint(),
                     "; its numbers will differ in the last bits"));
  }
  return state;
}

}  // namespace rsm
