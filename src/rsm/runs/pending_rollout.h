#pragma once

#include <cstdint>
#include <string>

#include "rsm/base/progress.h"
#include "rsm/base/rollout.h"

namespace rsm {

// A rollout whose pictures could not be judged waits in the run folder, so that
// the run goes on from there once its reward is mended; so does one that was
// stopped while it was drawn.

/** Writes the tensors of an epoch's rollout (atomically) into a run folder, and
 * says so: what belongs to its first `drawn` prompts, 1 or more, or to all. */
void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, int64_t drawn, Progress& progress);
void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, Progress& progress);

/** Fills `rollout`, which is laid out already, with the tensors that wait for
 * that epoch, and returns of how many prompts, the first ones, these are. 0
 * where none do, or they are of another epoch. A damaged file, or one of
 * another rollout than the epoch's, is said and passed over: the same pictures
 * can be drawn again. */
int64_t load_pending(const std::string& run_folder, int64_t epoch,
                     Rollout& rollout, Progress& progress);

/** Removes what waits for that epoch or an earlier one, or is damaged. Throws
 * rsm::Error naming the file where that is not possible. */
void remove_pending(const std::string& run_folder, int64_t epoch);

}  // namespace rsm
