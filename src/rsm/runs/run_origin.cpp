#include "rsm/runs/run_origin.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/data/picture_scores.h"
#include "rsm/io/files.h"
#include "rsm/io/folder_lock.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/run_log.h"
#include "rsm/runs/changed_keys.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/replay.h"
#include "rsm/runs/watch.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

struct Origin {
  std::string run;
  int64_t epoch = 0;
  std::vector<std::string> changed;
};

/** Of an origin.json. Throws rsm::Error with the file and what to do. */
Origin read_origin(const std::string& path) {
  try {
    const auto note = read_json(path);
    const JsonFields fields(note, "[origin] " + path);
    return {fields.text("run"), fields.integer("epoch"),
            fields.texts("changed")};
  } catch (const Error& damaged) {
    throw Error(cat(damaged.what(),
                    "; bring the file back, or remove it and go on without "
                    "--from: it only says where the run came from"));
  }
}

int64_t epoch_to_begin(const std::string& run, std::optional<int64_t> epoch) {
  auto epochs = checkpoint_epochs(run);
  const bool any = !epochs.empty();
  const auto is_kept = [&](int64_t one) {
    return std::find(epochs.begin(), epochs.end(), one) != epochs.end();
  };
  const auto best = kept_best(run);
  if (best && !is_kept(*best)) epochs.push_back(*best);
  if (!any) {
    throw UsageError(cat("[finetune] --from ", run,
                         ": no checkpoint lies there; give the folder of a "
                         "run"));
  }
  std::vector<std::string> known;
  for (const int64_t one : epochs) known.push_back(cat(one));
  if (epoch && !is_kept(*epoch)) {
    throw UsageError(cat("[finetune] --from-epoch ", *epoch, ": ", run,
                         " keeps no checkpoint of that epoch, but of ",
                         join(known)));
  }
  if (epoch) {
    return *epoch;
  }
  const auto newest = latest_checkpoint(run);
  const int64_t healthy = newest ? newest->healthy_epoch : 0;
  if (!is_kept(healthy)) {
    throw UsageError(cat("[finetune] --from ", run,
                         ": no checkpoint there is known to be of a model "
                         "near the reference; choose one by --from-epoch: ",
                         join(known)));
  }
  return healthy;
}

/** Of an epoch that checkpoints/ or best/ keeps. */
Checkpoint kept_checkpoint(const std::string& run, int64_t epoch) {
  const auto epochs = checkpoint_epochs(run);
  const bool is_there =
      std::find(epochs.begin(), epochs.end(), epoch) != epochs.end();
  const bool in_best = !is_there && kept_best(run) == epoch;
  return read_checkpoint(in_best ? best_folder(run) : run, epoch);
}

bool may_change(const std::string& key) {
  return key.starts_with("name:") ||
         (key.starts_with("train.") && !key.starts_with("train.weights") &&
          !key.starts_with("train.lora"));
}

/** Keys that differ, without the names. */
std::vector<std::string> changes(const RunOptions& options,
                                 const Checkpoint& before,
                                 const std::string& run) {
  std::vector<std::string> kept, refused;
  for (const auto& key : changed_keys(before.config, options.resolved)) {
    if (!may_change(key)) {
      refused.push_back(key);
    } else if (!key.starts_with("name:")) {
      kept.push_back(key);
    }
  }
  if (!refused.empty()) {
    throw UsageError(cat("[finetune] --from ", run,
                         " is a run of another "
                         "config (",
                         join(refused, "; "),
                         "); only `name` and keys of `train` may differ"));
  }
  return kept;
}

/** The sample pictures of epochs up to `last`. */
void copy_samples(const fs::path& run, const fs::path& to, int64_t last) {
  if (!is_folder(run / "samples")) {
    return;
  }
  fs::copy(run / "samples", to / "samples",
           fs::copy_options::overwrite_existing | fs::copy_options::recursive);
  const auto scores = to / "samples" / "scores-after.json";
  if (is_there(scores) && read_picture_scores(scores).epoch > last) {
    fs::remove(scores);
    fs::remove(to / "samples" / "after.png");
  }
}

}  // namespace

void begin_from(const RunOptions& options, const std::string& run,
                std::optional<int64_t> epoch) {
  const fs::path to = options.folder;
  NoProgress silent;  // the run itself warns of a folder without locks
  const FolderLock lock(options.folder, "[finetune]", silent);
  const std::string note = (to / "origin.json").string();
  const bool begun = is_there(note);
  const auto said = begun ? read_origin(note) : Origin();
  const bool of_run = begun && said.run == run;
  const int64_t first = of_run ? said.epoch : epoch_to_begin(run, epoch);
  const bool same = of_run && epoch.value_or(first) == first;
  const bool occupied = is_there(to / "config.yaml") ||
                        (!begun && last_epoch_named(options.folder) >= 0);
  if ((begun && !same) || (!begun && occupied)) {
    throw UsageError(cat("[finetune] ", options.folder,
                         " holds another run already; choose another `name` "
                         "beside --from"));
  }
  if (occupied) {
    return;
  }
  auto checkpoint = kept_checkpoint(run, first);
  const auto changed = changes(options, checkpoint, run);
  checkpoint.config = options.resolved;
  Replay(options.folder, options.method.estimator.gradient)
      .copy_from(run, first, checkpoint.replay);
  write_json_atomic(note,
                    {{"run", run}, {"epoch", first}, {"changed", changed}});
  copy_samples(run, to, first);
  std::string log;
  for (const auto& line : read_log(run + "/log.jsonl")) {
    if (line.at("epoch") <= first) log += line.dump() + "\n";
  }
  write_file_atomic((to / "log.jsonl").string(), log);
  save_checkpoint(options.folder, checkpoint);
}

std::string origin_text(const std::string& run_folder) {
  const std::string note = run_folder + "/origin.json";
  if (!is_there(note)) {
    return "";
  }
  const auto origin = read_origin(note);
  return cat("the first ", origin.epoch, " epochs are those of ", origin.run,
             origin.changed.empty()
                 ? ""
                 : "; since then " + join(origin.changed, ", "));
}

}  // namespace rsm
