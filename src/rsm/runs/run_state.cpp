#include "rsm/runs/run_state.h"

#include "rsm/models/loading.h"
#include "rsm/runs/optimizer_state.h"
#include "rsm/runs/run_options.h"

namespace rsm {
namespace {

/** Of tensors that the reference was reset to. */
constexpr const char* kReferencePrefix = "reference.";

/** [N] of a log's line; none where nothing is chosen by measurement, or was not
 * yet. */
std::vector<double> chosen_by_step(const RunOptions& options,
                                   const nlohmann::json& line,
                                   const std::string& name) {
  const auto by_step = line.find("by_step");
  if (!options.method.estimator.budget.is_on() || by_step == line.end() ||
      !by_step->contains(name)) {
    return {};
  }
  auto out = by_step->at(name).get<std::vector<double>>();
  out.resize(options.steps, 0);
  return out;
}

}  // namespace

Checkpoint to_checkpoint(const RunState& state, const Policy& policy,
                         torch::optim::AdamW& optimiser,
                         const Estimator& estimator) {
  Checkpoint checkpoint;
  checkpoint.epoch = state.epoch;
  checkpoint.spent = state.spent;
  add_with_prefix(checkpoint.tensors, "trained.", policy.trainable());
  add_with_prefix(checkpoint.tensors, "average.", policy.average());
  if (policy.options().has_old) {
    add_with_prefix(checkpoint.tensors, "old.", policy.old());
  }
  add_with_prefix(checkpoint.tensors, kReferencePrefix, policy.reset_weights());
  add_with_prefix(checkpoint.tensors, "adamw.",
                  adamw_state(optimiser, policy.names()));
  add_with_prefix(checkpoint.tensors, "estimator.", estimator.state());
  checkpoint.evaluation_due = state.evaluation_due;
  checkpoint.healthy_epoch = state.healthy_epoch;
  checkpoint.resets = state.resets;
  checkpoint.skipped_in_a_row = state.skipped_in_a_row;
  return checkpoint;
}

RunState from_checkpoint(const Checkpoint& checkpoint, Policy& policy,
                         torch::optim::AdamW& optimiser, Estimator& estimator) {
  RunState state;
  state.epoch = checkpoint.epoch;
  state.spent = checkpoint.spent;
  state.evaluation_due = checkpoint.evaluation_due;
  state.healthy_epoch = checkpoint.healthy_epoch;
  state.resets = checkpoint.resets;
  state.skipped_in_a_row = checkpoint.skipped_in_a_row;
  policy.load_trainable(with_prefix(checkpoint.tensors, "trained."));
  policy.load_average(with_prefix(checkpoint.tensors, "average."));
  if (policy.options().has_old) {
    policy.load_old(with_prefix(checkpoint.tensors, "old."));
  }
  if (const auto reset = with_prefix(checkpoint.tensors, kReferencePrefix);
      !reset.empty()) {
    policy.load_reset(reset);
  }
  policy.sample_with(Copy::training);
  load_adamw_state(optimiser, policy.names(),
                   with_prefix(checkpoint.tensors, "adamw."));
  estimator.load_state(with_prefix(checkpoint.tensors, "estimator."));
  return state;
}

std::vector<int64_t> chosen_branches(const RunOptions& options,
                                     const nlohmann::json& line) {
  const auto numbers = chosen_by_step(options, line, "branches");
  std::vector<int64_t> out;
  for (const double number : numbers) {
    out.push_back(static_cast<int64_t>(number));
  }
  return out;
}

std::vector<double> chosen_weights(const RunOptions& options,
                                   const nlohmann::json& line) {
  return chosen_by_step(options, line, "weight");
}

}  // namespace rsm
