#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** One cell of a sweep's table: a setting at one seed. */
struct SweepRun {
  std::string label;
  uint64_t seed = 0;
  RunOptions options;
};

/** A table of runs: settings x variations x seeds over one config.
 *
 *     name: headline
 *     config: configs/shapes/demo.yaml
 *     set: [train.max_minutes=2]            # every run
 *     seeds: [1, 2, 3]
 *     settings:
 *       - label: ratio form
 *         set: [method.regularisation.importance=ratio]  # as with --set
 *     vary:                                 # optional: each setting at each
 *       - key: train.lr
 *         values: [1e-4, 3e-4]
 *
 * Each run is a folder, `folder`/<label>-<seed>. */
struct Sweep {
  std::string name;
  std::string folder;
  /** Seed by seed, so that a table that is not done yet compares like with
   * like. */
  std::vector<SweepRun> runs;
};

/** Reads a sweep and checks every run's config. Throws UsageError naming file,
 * line and key, and where two settings would share a label. */
Sweep read_sweep(const Config& config);

/** Which runs of a sweep one process takes: the number-th of `of` and every
 * `of`-th after it. */
struct SweepPart {
  size_t number = 1;
  size_t of = 1;

  bool takes(size_t run) const { return run % of == number - 1; }
};

/** "2/8". Throws UsageError for anything else. */
SweepPart read_sweep_part(const std::string& text);

/** A label as a folder name: lower case, with hyphens for all but letters,
 * digits and dots. */
std::string folder_name(const std::string& label);

}  // namespace rsm
