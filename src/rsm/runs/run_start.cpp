#include "rsm/runs/run_start.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/data/picture_scores.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/mend_log.h"
#include "rsm/runs/changed_keys.h"
#include "rsm/runs/machine.h"
#include "rsm/runs/run_folder.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

std::string in(const RunOptions& options, const std::string& name) {
  return options.folder + "/" + name;
}

/** Why the folder must have seen epochs; none where it has not. */
std::vector<std::string> signs_of_epochs(const RunOptions& o) {
  std::vector<std::string> signs;
  const std::string log = in(o, "log.jsonl");
  int64_t damaged = 0;
  const int64_t last = last_epoch_in(log, damaged);
  if (last > 0) signs.push_back(cat(log, " reaches epoch ", last));
  if (damaged > 0) signs.push_back(cat(log, ":", damaged, " is damaged"));
  const int64_t named = last_epoch_named(o.folder);
  if (named > 0) {
    signs.push_back(
        cat("there are files of epoch ", named, " in ", in(o, "checkpoints")));
  }
  if (says_finished(o.folder)) {
    signs.push_back(in(o, "run.json") + " says that it is finished");
  }
  for (const char* name :
       {"final", "samples/after.png", "pending-rollout.safetensors"}) {
    if (is_there(in(o, name))) signs.push_back("there is " + in(o, name));
  }
  return signs;
}

/** A folder without a whole checkpoint is begun anew only where nothing was
 * learnt in it. */
void check_nothing_learnt(const RunOptions& options,
                          const std::vector<std::string>& damaged) {
  const auto signs = signs_of_epochs(options);
  RSM_CHECK(signs.empty(), "[finetune] ", options.folder,
            " holds a run that has done epochs (", join(signs, "; "),
            ") but no whole checkpoint to go on from",
            damaged.empty() ? "" : ": ", join(damaged, "; "),
            "; bring back what is missing in ", in(options, "checkpoints"),
            ", or, to start anew, choose another `name` or remove the folder");
}

/** What the folder's config.yaml says otherwise than the checkpoint. */
std::vector<std::string> changes_of_file(const std::string& path,
                                         const std::string& config) {
  try {
    return changed_keys(read_file(path), config, path);
  } catch (const Error& damaged) {
    return {damaged.what()};
  }
}

void check_config(const RunOptions& options, const Checkpoint& checkpoint,
                  Progress& progress) {
  const std::string path = in(options, "config.yaml");
  refuse_changed(options, checkpoint.config, "the config in the checkpoint",
                 input_keys());
  if (!is_there(path)) {
    progress.say(cat("warning: ", path, " is missing; written anew"));
  } else if (const auto changed = changes_of_file(path, checkpoint.config);
             !changed.empty()) {
    progress.say(cat("warning: ", path,
                     " is not the config this run began with (",
                     join(changed, "; "), "); written anew"));
  }
}

void check_inputs(const RunOptions& options, const Checkpoint& checkpoint,
                  const RunInputs& now, Progress& progress) {
  const auto changed = changed_inputs(checkpoint.inputs, now);
  RSM_CHECK(changed.empty(), "[finetune] what the run in ", options.folder,
            " rests on has changed since it began: ", join(changed, "; "),
            "; bring the former content back, or choose another `name` for a "
            "run of the new one");
  for (const auto& file : changed_judges(checkpoint.inputs, now)) {
    progress.say(cat("warning: ", file,
                     ", which a reward rests on, has changed since the "
                     "checkpoint; scores before and after may differ in "
                     "meaning"));
  }
}

void check_machine(const RunOptions& options, const Checkpoint& checkpoint,
                   Progress& progress) {
  const auto here =
      machine_fingerprint(options.device, options.train_tiles.tile);
  if (here != checkpoint.machine) {
    progress.say(cat("warning: the run was on ", checkpoint.machine,
                     ", this is ", here,
                     "; its numbers will differ in the last bits"));
  }
}

/** Whether prompts.json says what the pictures show and how they score. */
bool tells_of(const std::string& samples, const std::string& path) {
  try {
    const auto about = read_json(path);
    if (!about.is_object() || !about.contains("prompts") ||
        !about.contains("gap")) {
      return false;
    }
    for (const auto& [key, value] : about.items()) {
      if (key.ends_with("_" + samples) && value.is_array() &&
          value.size() == about["prompts"].size()) {
        return true;
      }
    }
  } catch (const Error&) {
  }
  return false;
}

bool has_scores(const std::string& path, int64_t epoch) {
  try {
    return read_picture_scores(path).epoch == epoch;
  } catch (const Error&) {
    return false;
  }
}

bool is_picture(const std::string& path) {
  try {
    read_png(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

RunStart find_start(const RunOptions& options, const RunInputs& now,
                    Progress& progress) {
  std::vector<std::string> damaged;
  RunStart start;
  start.checkpoint = latest_checkpoint(options.folder, &damaged);
  if (!start.checkpoint) {
    check_nothing_learnt(options, damaged);
    check_same_run(options);
  }
  for (const auto& text : damaged) {
    progress.say("warning: passing over a damaged checkpoint, " + text);
  }
  if (!start.checkpoint) return start;
  check_config(options, *start.checkpoint, progress);
  check_inputs(options, *start.checkpoint, now, progress);
  check_machine(options, *start.checkpoint, progress);
  auto log = mend_log(in(options, "log.jsonl"), start.checkpoint->log,
                      start.checkpoint->epoch);
  for (const auto& text : log.said) progress.say(text);
  start.log = std::move(log.text);
  return start;
}

void tidy_run(const std::string& run_folder, int64_t epoch,
              Progress& progress) {
  // An export may be under way at the same time.
  const int64_t files = remove_temporary_files(run_folder, {"export"});
  if (files > 0) {
    progress.say(cat("removed ", files, " temporary files in ", run_folder,
                     ", which a killed process left"));
  }
  for (const auto& text : tidy_checkpoints(run_folder, epoch)) {
    progress.say(text);
  }
}

bool is_lost(const std::string& run_folder, const std::string& samples,
             int64_t epoch) {
  const std::string folder = run_folder + "/samples/";
  return !tells_of(samples, folder + "prompts.json") ||
         !has_scores(folder + "scores-" + samples + ".json", epoch) ||
         !is_picture(folder + samples + ".png");
}

}  // namespace rsm
