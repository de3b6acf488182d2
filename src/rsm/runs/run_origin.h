#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rsm/runs/run_options.h"

namespace rsm {

// A run that goes on from another's checkpoint under other training settings:
// the way back from weights that exploded. The other run stays as it is.

/** Lets the run of `options` begin as `run` stood after `epoch`, or after the
 * newest epoch that the following one found near the reference: copies the
 * checkpoint, the paths it replays, the log so far and the sample pictures, and
 * writes origin.json
 * {run, epoch, changed: ["train.lr: 0.05 -> 0.0001"]}. Nothing where it did so
 * before. Throws UsageError where the folder holds another run, where the
 * configs differ in more than their names and how is trained (`train`, without
 * `weights` and `lora`), and where `run` has no such checkpoint; rsm::Error
 * naming a file of its replayed paths that is missing. */
void begin_from(const RunOptions& options, const std::string& run,
                std::optional<int64_t> epoch);

/** What a run's origin.json says, in words; "" where it has none. Throws
 * rsm::Error with the file and what to do where that is damaged, as begin_from
 * does. */
std::string origin_text(const std::string& run_folder);

}  // namespace rsm
