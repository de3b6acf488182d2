#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rsm/data/picture_scores.h"
#include "rsm/report/run_record.h"

namespace rsm::report {

/** What training took, totals so far; NaN where the log doesn't say. */
struct Cost {
  double seconds =
      std::numeric_limits<double>::quiet_NaN();              ///< no evaluations
  double images = std::numeric_limits<double>::quiet_NaN();  ///< sampled
  double evaluations = std::numeric_limits<double>::quiet_NaN();  ///< network's
};

/** An evaluation on held-out prompts. */
struct EvaluationPoint {
  int64_t epoch = 0;
  Cost cost;
  double kl = 0;  ///< drift from the reference per latent element; may be NaN
  Scores scores;
};

/** A run as comparisons see it. */
struct ComparedRun {
  std::string folder;  ///< below the folder that holds all compared runs
  std::string label;   ///< what its setting is called; may be empty
  std::string method;
  std::string main_metric;
  std::string machine;
  uint64_t seed = 0;
  bool finished = false;
  /** The resolved config, flat ("train.lr" -> "3e-04"), without what says which
   * run it is: name, label, folder and seed. */
  std::map<std::string, std::string> config;
  std::vector<EvaluationPoint> points;  ///< by epoch
  std::vector<std::string> watched;     ///< see Reward::watched_metrics
  /** Of the last evaluation, picture by picture; none where the file is
   * missing, damaged or of another epoch. */
  std::optional<PictureScores> pictures;

  /** "" where the config has no such key. */
  std::string value(const std::string& key) const;
};

/** The run folders among and below the given folders, those with a log.jsonl:
 * absolute, sorted, each once. Throws UsageError for a path that holds none and
 * for a run that is given twice. */
std::vector<std::string> find_runs(const std::vector<std::string>& paths);

/** Reads a run folder for comparison, where it is called `name`. Throws
 * rsm::Error naming file and line where the folder contradicts itself: an epoch
 * is missing or comes twice, totals shrink, or config.yaml and run.json tell
 * different stories. */
ComparedRun read_compared_run(const std::string& folder,
                              const std::string& name);

/** find_runs and read_compared_run. */
std::vector<ComparedRun> read_compared_runs(
    const std::vector<std::string>& paths);

}  // namespace rsm::report
