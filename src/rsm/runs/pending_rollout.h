#pragma once

#include <cstdint>
#include <string>

#include "rsm/base/progress.h"
#include "rsm/base/rollout.h"

namespace rsm {

// A rollout whose pictures could not be judged waits in the run folder, so that
// the run goes on from there once its reward is mended.

/** Writes the tensors of an epoch's rollout (atomically) into a run folder, and
 * says so. */
void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, Progress& progress);

/** Fills `rollout`, which is laid out already, with the tensors that wait for
 * that epoch. False where none do, or they are of another epoch. A damaged
 * file, or one of another rollout than the epoch's, is said and passed over:
 * the same pictures can be drawn again. */
bool load_pending(const std::string& run_folder, int64_t epoch,
                  Rollout& rollout, Progress& progress);

/** Removes what waits for that epoch or an earlier one, or is damaged. Throws
 * rsm::Error naming the file where that is not possible. */
void remove_pending(const std::string& run_folder, int64_t epoch);

}  // namespace rsm
