// What a run reads from its folder when it starts and leaves there.

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/train/finetune.h"
#include "rsm/train/run_folder.h"

namespace rsm {

namespace fs = std::filesystem;

void Finetune::start_or_continue() {
  fs::create_directories(options_.folder);
  check_same_run(options_);
  std::vector<std::string> damaged;
  const auto checkpoint = latest_checkpoint(options_.folder, damaged);
  for (const auto& text : damaged) {
    progress_.say("warning: passing over a damaged checkpoint, " + text);
  }
  log_ = std::make_unique<RunLog>(options_.folder + "/log.jsonl");
  write_file_atomic(options_.folder + "/config.yaml", options_.resolved);
  if (checkpoint) {
    state_ = from_checkpoint(*checkpoint, *policy_, *optimiser_, progress_);
    log_->truncate_after(state_.epoch);
    write_description(options_, transitions_, train_prompts_, evaluation_set_,
                      *reward_, false);
    progress_.say(
        cat("continuing ", options_.folder, " after epoch ", state_.epoch));
    return;
  }
  log_->truncate_after(-1);
  write_description(options_, transitions_, train_prompts_, evaluation_set_,
                    *reward_, false);
  nlohmann::json line = {{"epoch", 0}, {"images", 0}, {"evals", 0}};
  const auto before = evaluate_now("before");
  line["wall_s"] = state_.spent.wall_seconds;
  line["train_s"] = 0.0;
  add_evaluation(line, before);
  for (const auto& text : before.warnings) progress_.say("warning: " + text);
  log_->append(line);
  save();
}

void Finetune::save() {
  save_checkpoint(options_.folder,
                  to_checkpoint(state_, *policy_, *optimiser_));
}

void Finetune::finish() {
  write_final(options_, model_, state_.average);
  write_description(options_, transitions_, train_prompts_, evaluation_set_,
                    *reward_, true);
}

}  // namespace rsm
