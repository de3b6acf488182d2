// What a run reads from its folder when it starts and leaves there.

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/base/state_dict.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/machine.h"
#include "rsm/runs/run_folder.h"
#include "rsm/runs/run_start.h"
#include "rsm/runs/watch.h"
#include "rsm/train/finetune.h"

namespace rsm {
namespace {

std::vector<nlohmann::json> objects_of(const std::vector<std::string>& lines) {
  std::vector<nlohmann::json> out;
  for (const auto& line : lines) out.push_back(nlohmann::json::parse(line));
  return out;
}

}  // namespace

void Finetune::start_or_continue() {
  const auto start = find_start(options_, parts_.inputs, progress_);
  ranks_.barrier();  // all have read what is written from here on
  const std::string log =
      ranks_.is_first() ? options_.folder + "/log.jsonl" : "";
  if (start.checkpoint) {
    // At epoch 0 it is the evaluation that is due, or was made since.
    if (start.checkpoint->epoch > 0) redraw("before", 0);
    log_ = std::make_unique<RunLog>(log, start.log);
    continue_from(*start.checkpoint);
    return;
  }
  log_ = std::make_unique<RunLog>(log, "");
  write_config();
  describe(false);
  state_.line = {{"epoch", 0},
                 {"images", 0},
                 {"evals", 0},
                 {"train_s", 0.0},
                 {"wall_s", state_.spent.wall_seconds}};
  state_.evaluation_due = true;
  save();
  log_->append(state_.line);
  evaluate_first();
}

void Finetune::evaluate_first() {
  for (const auto& text : add_due_evaluation()) {
    progress_.say("warning: " + text);
  }
}

std::vector<std::string> Finetune::add_due_evaluation() {
  const auto evaluation = evaluate_now(state_.epoch == 0 ? "before" : "after");
  add_evaluation(state_.line, evaluation);
  auto said = evaluation.warnings;
  if (const auto text = add_watch(); !text.empty()) said.push_back(text);
  state_.line["wall_s"] = state_.spent.wall_seconds;
  state_.line = said_by_first(state_.line);
  log_->amend(state_.line);
  state_.evaluation_due = false;
  settle_best();
  return said;
}

std::string Finetune::add_watch() {
  const auto text = watch_warning(options_.watch, objects_of(log_->lines()),
                                  state_.line.at("eval"), options_.folder);
  if (text.empty()) return text;
  state_.line["warnings"].push_back(text);
  if (options_.watch.ends_runs()) state_.line["eval"]["watch_stop"] = true;
  return text;
}

void Finetune::settle_best() {
  const auto& watch = options_.watch;
  if (!watch.is_on() || !watch.keep_best || !ranks_.is_first()) return;
  try {
    keep_best(options_.folder, best_epoch(watch, objects_of(log_->lines())),
              state_.epoch);
  } catch (const Error& failure) {
    progress_.say(cat("warning: ", failure.what()));
  }
}

void Finetune::show_log() {
  if (!tensorboard_) return;
  try {
    tensorboard_->follow(log_->lines());
  } catch (const Error& failure) {
    progress_.say(cat("warning: TensorBoard is behind: ", failure.what()));
  }
}

bool Finetune::was_stopped() const {
  const auto eval = state_.line.find("eval");
  return options_.watch.ends_runs() && eval != state_.line.end() &&
         eval->value("watch_stop", nlohmann::json()) == true;
}

void Finetune::continue_from(const Checkpoint& checkpoint) {
  state_ = from_checkpoint(checkpoint, *policy_, *optimiser_, *estimator_);
  sample_as_trained();
  if (parts_.lock && parts_.lock->held()) {
    tidy_run(options_.folder, state_.epoch, progress_);
  }
  write_config();
  describe(false);
  progress_.say(
      cat("continuing ", options_.folder, " after epoch ", state_.epoch));
  replay_.load(state_.epoch, checkpoint.replay);
  saved_epoch_ = state_.epoch;
  bool now = false;  // evaluated at this very epoch
  int64_t last_evaluated = 0;
  for (const auto& text : log_->lines()) {
    const auto line = nlohmann::json::parse(text);
    if (line["epoch"] == state_.epoch) state_.line = line;
    now = line.contains("eval") && line["epoch"] == state_.epoch;
    if (line.contains("eval")) last_evaluated = line["epoch"];
  }
  continue_branches();
  // The checkpoint was saved before the evaluation.
  state_.spent.wall_seconds =
      std::max(state_.spent.wall_seconds, state_.line.value("wall_s", 0.0));
  if (state_.evaluation_due && !now) {
    evaluate_first();
    return;
  }
  state_.evaluation_due = false;
  settle_best();
  if (now) {
    redraw(state_.epoch == 0 ? "before" : "after", state_.epoch);
  } else if (last_evaluated > 0 && ranks_.is_first() &&
             is_lost(options_.folder, "after", last_evaluated)) {
    progress_.say(cat("warning: ", options_.folder,
                      "/samples/after.png is missing or damaged; the next "
                      "evaluation draws it again"));
  }
}

void Finetune::redraw(const std::string& samples, int64_t epoch) {
  const bool lost =
      ranks_.is_first() && is_lost(options_.folder, samples, epoch);
  if (!ranks_.any(lost)) return;
  const std::string path = cat(options_.folder, "/samples/", samples, ".png");
  progress_.say(cat("warning: ", path,
                    ", or what prompts.json says of it, is missing or damaged; "
                    "it is drawn again"));
  try {
    for (const auto& text : evaluate_now(samples).warnings) {
      progress_.say("warning: " + text);
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& failure) {
    if (!ranks_.is_sole()) throw;  // others may have drawn it
    progress_.say(
        cat("warning: ", path, " could not be drawn again: ", failure.what()));
  }
}

void Finetune::write_config() const {
  if (!ranks_.is_first()) return;
  write_file_atomic(options_.folder + "/config.yaml", options_.resolved);
}

void Finetune::describe(bool finished) const {
  if (!ranks_.is_first()) return;
  write_description(options_, transitions_, parts_.train_prompts,
                    parts_.evaluation_set, *parts_.reward, finished);
}

void Finetune::save() {
  if (saved_epoch_ == state_.epoch) {
    return;
  }
  if (!ranks_.is_first()) {
    saved_epoch_ = state_.epoch;
    return;
  }
  auto checkpoint = to_checkpoint(state_, *policy_, *optimiser_, *estimator_);
  checkpoint.machine =
      machine_fingerprint(options_.device, options_.train_tiles.tile);
  checkpoint.config = options_.resolved;
  checkpoint.inputs = parts_.inputs;
  checkpoint.replay = replay_.files(state_.epoch);
  checkpoint.log = log_->lines();
  if (checkpoint.log.empty() ||
      nlohmann::json::parse(checkpoint.log.back())["epoch"] != state_.epoch) {
    // It comes to the log after this.
    checkpoint.log.push_back(json_line(state_.line));
  }
  save_checkpoint(options_.folder, checkpoint);
  replay_.remove_before(checkpoint_epochs(options_.folder).back());
  saved_epoch_ = state_.epoch;
}

void Finetune::finish() {
  if (!ranks_.is_first()) return;
  const auto best = kept_best(options_.folder);
  if (was_stopped() && best &&
      options_.watch.action == WatchOptions::Action::rollback) {
    const auto checkpoint =
        read_checkpoint(best_folder(options_.folder), *best);
    policy_->load_average(with_prefix(checkpoint.tensors, "average."));
    progress_.say(cat(options_.folder, "/final holds the weights of epoch ",
                      *best, ", the best evaluation before the last"));
  }
  write_final(options_, policy_->trained_network().network(),
              policy_->average());
  describe(true);
}

}  // namespace rsm
