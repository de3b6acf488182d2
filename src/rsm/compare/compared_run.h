#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rsm/data/picture_scores.h"
#include "rsm/report/run_record.h"

namespace rsm::report {

/** A run as comparisons see it. Its `config` lacks what says which run it is:
 * name, label, folder and seed. */
struct ComparedRun : RunRecord {
  std::string folder;  ///< below the folder that holds all compared runs
  /** Of the last evaluation, picture by picture; none where the file is
   * missing, damaged or of another epoch. */
  std::optional<PictureScores> pictures;

  /** Of the config; "" where it has no such key. */
  std::string value(const std::string& key) const;
};

/** The run folders among and below the given folders, those with a log.jsonl:
 * absolute, sorted, each once. Throws UsageError for a path that holds none and
 * for a run that is given twice. */
std::vector<std::string> find_runs(const std::vector<std::string>& paths);

/** Reads a run folder for comparison, where it is called `name`. Throws
 * rsm::Error as read_run, and where the log lacks an epoch. */
ComparedRun read_compared_run(const std::string& folder,
                              const std::string& name);

/** find_runs and read_compared_run. */
std::vector<ComparedRun> read_compared_runs(
    const std::vector<std::string>& paths);

}  // namespace rsm::report
