#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rsm/base/progress.h"
#include "rsm/base/rollout.h"

namespace rsm {

// A rollout whose pictures could not be judged waits in the run folder, so that
// the run goes on from there once its reward is mended.

/** Writes the rollout of an epoch (atomically) into a run folder, and says so.
 */
void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, Progress& progress);

/** The rollout waiting for that epoch, its tensors on `device`. Nothing where
 * none is, or it is of another epoch. A damaged file, or one of other prompts
 * than the epoch's, is said and passed over: the same pictures can be drawn
 * again. */
std::optional<Rollout> load_pending(const std::string& run_folder,
                                    int64_t epoch, const Prompts& prompts,
                                    torch::Device device, Progress& progress);

/** Removes what waits for that epoch or an earlier one, or is damaged. Throws
 * rsm::Error naming the file where that is not possible. */
void remove_pending(const std::string& run_folder, int64_t epoch);

}  // namespace rsm
