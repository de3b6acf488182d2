#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Where a run begins. */
struct RunStart {
  std::optional<Checkpoint> checkpoint;  ///< goes on from here; none: anew
  std::string log;                       ///< what log.jsonl should hold
};

/** Finds where the run of a folder begins, which nobody else may write into
 * meanwhile. Throws rsm::Error naming what is in the way and how to go on:
 * a run of another config; other inputs (`now`) than those the checkpoint rests
 * on; epochs that were done though no checkpoint of them is whole. What was
 * passed over or restored is said. */
RunStart find_start(const RunOptions& options, const RunInputs& now,
                    Progress& progress);

/** Removes what killed processes left in the folder, once the run is known to
 * go on after `epoch`; says what that was. */
void tidy_run(const std::string& run_folder, int64_t epoch, Progress& progress);

/** Whether a grid of pictures in samples/ ("before", "after") is missing,
 * damaged or not of the model after `epoch`, or what prompts.json and the
 * pictures' scores say of it. */
bool is_lost(const std::string& run_folder, const std::string& samples,
             int64_t epoch);

}  // namespace rsm
