#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rsm/data/certainty.h"

namespace rsm::report {

/** What training raises, in every evaluation. */
inline constexpr const char* kTrainedMetric = "reward";

/** Means over the pictures of an evaluation, or of one category of it; finite
 * ones only. */
struct Scores {
  using Numbers = std::map<std::string, double>;
  using Errors = std::map<std::string, MeanError>;

  int64_t images = 0;  ///< 0: not said
  Numbers metrics;
  Errors errors = {};         ///< of the means
  Errors change_errors = {};  ///< paired ones, of the change since epoch 0

  /** NaN, or not known, where there is none. */
  double metric(const std::string& name) const;
  MeanError error(const std::string& name) const;
  MeanError change_error(const std::string& name) const;
};

struct EvaluationRecord {
  Scores all;
  std::map<std::string, Scores> categories;
  double kl = 0;  ///< drift from the reference per latent element; may be NaN
};

/** One line of the log. What is missing, null or of another type there is
 * missing here. */
struct EpochRecord {
  int64_t epoch = 0;
  std::map<std::string, double> numbers;  ///< "reward", "kl", "wall_s", ...
  std::map<std::string, std::vector<double>> by_step;  ///< with NaN
  std::optional<EvaluationRecord> evaluation;
  std::vector<std::string> warnings;

  /** NaN where there is none. */
  double number(const std::string& name) const;
};

/** One sampler step as the method treats it; NaN where not said. */
struct ScheduleRecord {
  double step = 0;
  double t = 0;
  double branches = 0;
  double h = 0;  ///< guidance strength
};

/** Two grids of pictures with the same prompts and seeds. */
struct SamplesRecord {
  std::string before_png;  ///< the files' bytes; empty where missing or damaged
  std::string after_png;
  int64_t columns = 0;  ///< 0: not said
  int64_t rows = 0;
  std::vector<std::string> prompts;   ///< one a picture, one a row, or none
  std::vector<double> scores_before;  ///< main metric, one a picture, with NaN
  std::vector<double> scores_after;
};

/** A run folder, read. */
struct RunRecord {
  using Facts = std::vector<std::pair<std::string, std::string>>;

  std::string name;
  std::string method;
  std::string method_summary;
  std::string method_source;
  std::string model;
  std::string main_metric;  ///< what the headline is about
  /** What training should not raise, see Reward::watched_metrics. */
  std::vector<std::string> watched;
  bool finished = false;
  Facts facts;  ///< further words on the run, to be shown as they are
  Facts knobs;  ///< "estimator.source" -> "branches", ...
  Facts versions;
  std::vector<ScheduleRecord> schedule;
  std::string config;
  std::vector<EpochRecord> epochs;  ///< by epoch, each once
  SamplesRecord samples;
  std::vector<std::string> warnings;  ///< of the run as a whole
  std::vector<std::string> problems;  ///< what the folder lacks, in sentences

  /** The first and the last line with an evaluation; null where none has. */
  const EpochRecord* first_evaluation() const;
  const EpochRecord* last_evaluation() const;
};

/** Reads log.jsonl (see run_log.h) and, where they are there, run.json,
 * config.yaml and samples/ of a run folder. Throws rsm::Error where the log is
 * missing, or it or run.json is malformed, naming file and line. What else is
 * missing or damaged becomes one of `problems`. */
RunRecord read_run(const std::string& folder);

}  // namespace rsm::report
