#pragma once

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Reads `evaluation` into options whose sampling is known. */
void read_evaluation(const Config& section, Family family, RunOptions& options);

/** Notes a negative prompt that no text guidance of the run would lead away
 * from. `options` are read but for what comes after `evaluation`. */
void check_negative_prompt(const Config& sampling, const RunOptions& options);

}  // namespace rsm
