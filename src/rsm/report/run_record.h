#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rsm/data/certainty.h"
#include "rsm/data/watch_ratio.h"

namespace rsm::report {

/** A number that a run does not have. */
inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

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
  WatchNumbers watch = {};  ///< what nobody optimises
};

/** What training took, totals so far; NaN where the log doesn't say. */
struct Cost {
  double seconds = kMissing;      ///< no evaluations
  double images = kMissing;       ///< sampled
  double evaluations = kMissing;  ///< network's
};

/** One line of the log. */
struct EpochRecord {
  int64_t epoch = 0;
  std::map<std::string, double> numbers;  ///< "reward", "kl", "wall_s", ...
  std::map<std::string, std::vector<double>> by_step;  ///< with NaN
  std::map<std::string, Scores::Numbers> rewards;      ///< each of several
  std::optional<EvaluationRecord> evaluation;
  std::vector<std::string> warnings;

  /** NaN where there is none. */
  double number(const std::string& name) const;
  Cost cost() const;
};

/** One sampler step as the method treats it. */
struct ScheduleRecord {
  double step = 0;
  double t = 0;
  double branches = 0;
  double h = 0;  ///< guidance strength; NaN: none
};

/** Equal tiles, row by row; lengths are in pixels. */
struct TileLayout {
  int64_t columns = 0;
  int64_t tile_width = 0;
  int64_t tile_height = 0;
  int64_t gap = 0;
  int64_t tiles = 0;

  int64_t width() const;
  int64_t height() const;
};

/** Grids of pictures with the same prompts and noise. */
struct SamplesRecord {
  struct Grid {
    std::string png;             ///< the file's bytes; empty: none
    std::vector<double> scores;  ///< main metric, one a picture, with NaN
  };
  TileLayout layout = {};
  std::vector<std::string> prompts = {};  ///< one a picture
  Grid before = {};
  Grid after = {};
};

/** A few of these pictures, a row each, as evaluations drew them, a column
 * each. */
struct StripRecord {
  TileLayout layout = {};
  std::vector<int64_t> epochs = {};       ///< of the columns
  std::vector<std::string> prompts = {};  ///< of the rows
  std::vector<int64_t> members = {};  ///< which sample of its prompt a row is
  SamplesRecord::Grid grid = {};
};

/** A run folder, read. */
struct RunRecord {
  using Facts = std::vector<std::vector<std::string>>;  ///< name and value

  std::string name;
  std::string label;  ///< what its setting is called; may be empty
  std::string method;
  std::string method_summary;
  std::string model;
  std::string machine;
  std::string main_metric;  ///< what the headline is about
  uint64_t seed = 0;
  /** What training should not raise, see Reward::watched_metrics. */
  std::vector<std::string> watched;
  bool finished = false;
  Facts facts;  ///< of run.json, to be shown as they are
  Facts versions;
  std::vector<ScheduleRecord> schedule;
  std::string config_text;
  std::map<std::string, std::string> config;  ///< see config_values
  std::vector<EpochRecord> epochs;            ///< by epoch, each once
  SamplesRecord samples;
  StripRecord strip;  ///< empty where there are not two evaluations to show
  std::vector<std::string> warnings;  ///< of the run as a whole
  /** What the folder lacks though the run once wrote it, in sentences. */
  std::vector<std::string> log_problems;
  std::vector<std::string> picture_problems;

  /** The lines with an evaluation. */
  std::vector<const EpochRecord*> evaluated() const;
};

/** Reads run.json, config.yaml, log.jsonl and samples/ of a run folder as this
 * program writes them (docs/architecture.md). A file that is missing, a key
 * that is missing or of another kind, epochs or totals that go back, and a
 * run.json of another config.yaml are an rsm::Error naming file, line and key.
 * Numbers that the log lacks are NaN. What a run can lose and still go on,
 * lines of the log and pictures, becomes a problem instead. */
RunRecord read_run(const std::string& folder);

}  // namespace rsm::report
