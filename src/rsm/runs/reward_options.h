#pragma once

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Reads `reward: NAME`, or `rewards:` with a list of sections, and makes them
 * once, so that what is wrong with one is noted. */
void read_rewards(const Config& config, RunOptions& o);

/** Notes rewards that the method, which is known, can't be trained on. */
void check_rewards(const Config& config, const RunOptions& o);

}  // namespace rsm
