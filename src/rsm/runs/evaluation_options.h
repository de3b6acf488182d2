#pragma once

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Of an epoch, or of an evaluation. */
inline constexpr int64_t kMostPictures = 10000000;
/** Of a run, or between its evaluations. */
inline constexpr double kMostMinutes = 1e9;

/** Reads `evaluation` into options whose sampling is known. */
void read_evaluation(const Config& section, Family family, RunOptions& options);

/** Notes a negative prompt that no text guidance of the run would lead away
 * from. `options` are read but for what comes after `evaluation`. */
void check_negative_prompt(const Config& sampling, const RunOptions& options);

}  // namespace rsm
