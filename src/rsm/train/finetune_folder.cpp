// What a run reads from its folder when it starts and leaves there.

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/train/finetune.h"
#include "rsm/train/machine.h"
#include "rsm/train/run_folder.h"
#include "rsm/train/run_start.h"

namespace rsm {

void Finetune::start_or_continue() {
  inputs_ = run_inputs(options_);
  const auto start = find_start(options_, inputs_, progress_);
  const std::string log = options_.folder + "/log.jsonl";
  if (start.checkpoint) {
    redraw("before");
    write_file_atomic(log, start.log);
    log_ = std::make_unique<RunLog>(log);
    continue_from(*start.checkpoint);
    return;
  }
  write_file_atomic(log, "");
  log_ = std::make_unique<RunLog>(log);
  write_file_atomic(options_.folder + "/config.yaml", options_.resolved);
  describe(false);
  nlohmann::json line = {{"epoch", 0}, {"images", 0}, {"evals", 0}};
  const auto before = evaluate_now("before");
  line["wall_s"] = state_.spent.wall_seconds;
  line["train_s"] = 0.0;
  add_evaluation(line, before);
  for (const auto& text : before.warnings) progress_.say("warning: " + text);
  log_->append(line);
  save();
}

void Finetune::continue_from(const Checkpoint& checkpoint) {
  state_ = from_checkpoint(checkpoint, *policy_, *optimiser_);
  if (lock_.held()) tidy_run(options_.folder, state_.epoch, progress_);
  write_file_atomic(options_.folder + "/config.yaml", options_.resolved);
  describe(false);
  progress_.say(
      cat("continuing ", options_.folder, " after epoch ", state_.epoch));
  bool evaluated = false, now = false;  // after the first epoch; at the last
  for (const auto& text : log_->lines()) {
    const auto line = nlohmann::json::parse(text);
    now = line.contains("eval") && line["epoch"] == state_.epoch;
    evaluated |= line.contains("eval") && line["epoch"] > 0;
  }
  if (now && state_.epoch > 0) {
    if (redraw("after")) {
      state_ = from_checkpoint(checkpoint, *policy_, *optimiser_);
    }
  } else if (evaluated && is_lost(options_.folder, "after")) {
    progress_.say(cat("warning: ", options_.folder,
                      "/samples/after.png is missing or damaged; the next "
                      "evaluation draws it again"));
  }
}

bool Finetune::redraw(const std::string& samples) {
  if (!is_lost(options_.folder, samples)) return false;
  const std::string path = cat(options_.folder, "/samples/", samples, ".png");
  progress_.say(cat("warning: ", path,
                    ", or what prompts.json says of it, is missing or damaged; "
                    "it is drawn again"));
  try {
    for (const auto& text : evaluate_now(samples).warnings) {
      progress_.say("warning: " + text);
    }
  } catch (const Error& failure) {
    progress_.say(
        cat("warning: ", path, " could not be drawn again: ", failure.what()));
  }
  return true;
}

void Finetune::describe(bool finished) const {
  write_description(options_, transitions_, train_prompts_, evaluation_set_,
                    *reward_, finished);
}

void Finetune::save() {
  auto checkpoint = to_checkpoint(state_, *policy_, *optimiser_);
  checkpoint.machine =
      machine_fingerprint(options_.device, options_.tiles.tile);
  checkpoint.config = options_.resolved;
  checkpoint.inputs = inputs_;
  checkpoint.log = log_->lines();
  save_checkpoint(options_.folder, checkpoint);
}

void Finetune::finish() {
  write_final(options_, model_, state_.average);
  describe(true);
}

}  // namespace rsm
