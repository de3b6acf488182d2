#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rsm/io/config.h"

namespace rsm {

// The watchdog of a run: what nobody optimises, at every evaluation, and which
// evaluation was the best while it held.

/** What a run does where the reward rises while what is watched collapses. */
struct WatchOptions {
  enum class Action {
    off,
    warn,
    stop,      ///< and ends with the weights of that evaluation
    rollback,  ///< and ends with those of the best evaluation
  };
  Action action = Action::warn;
  /** Of each watched number the share (kept_share, data/watch_ratio.h) below
   * which it has collapsed. 0: not looked at. */
  std::map<std::string, double> least = {{"edges", 0.5},
                                         {"colours", 0.6},
                                         {"saturation", 0.5},
                                         {"diversity", 0.5},
                                         {"feature_diversity", 0.5},
                                         {"niqe", 0.5},
                                         {"brisque", 0.5},
                                         {"outputs", 0.5}};
  bool keep_best = true;
  double best_kl = 0;  ///< the most that the best may have drifted; 0: any

  bool is_on() const { return action != Action::off; }
  bool ends_runs() const {
    return action == Action::stop || action == Action::rollback;
  }
};

/** Reads `watch` of a config's evaluation section. */
WatchOptions read_watch(const Config& evaluation);

/** One watched number against the first evaluation's. */
struct WatchedRatio {
  std::string name;
  double ratio = 1;
  bool collapsed = false;
};

/** The watched numbers of an evaluation (the `eval` of a log's line) beside
 * those of the first, as far as both are known. */
std::vector<WatchedRatio> watched_ratios(const WatchOptions& options,
                                         const nlohmann::json& first,
                                         const nlohmann::json& now);

/** What to say of an evaluation where the trained reward rose since the first
 * one of the log, by more than the error of the change makes sure, while
 * something watched collapsed; "" otherwise. A function of its arguments: a run
 * that goes on says the same. */
std::string watch_warning(const WatchOptions& options,
                          const std::vector<nlohmann::json>& log,
                          const nlohmann::json& now,
                          const std::string& run_folder);

/** The epoch of the highest reward among the evaluated lines of a log, the
 * first evaluation apart: of those that drifted no further than best_kl and
 * lost nothing watched. The earlier one of equals; none where there is none. */
std::optional<int64_t> best_epoch(const WatchOptions& options,
                                  const std::vector<nlohmann::json>& log);

/** Keeps the checkpoint of an epoch as the only one in the run's `best/`,
 * without writing its bytes again where the file system has hard links. Where
 * checkpoints/ lacks it, what lies in best/ stays, unless it is of an epoch
 * after `now`, which the run was set back from. Throws rsm::Error naming the
 * folder. */
void keep_best(const std::string& run_folder, std::optional<int64_t> epoch,
               int64_t now);
/** Where that is: a folder for read_checkpoint(). */
std::string best_folder(const std::string& run_folder);
/** The epoch that lies there. */
std::optional<int64_t> kept_best(const std::string& run_folder);

}  // namespace rsm
