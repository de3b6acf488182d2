#pragma once

#include "rsm/io/config.h"
#include "rsm/paths/path.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Reads the noise of stochastic steps, `sampling.sampler` and its levels, into
 * `options`, whose method and steps are known: by default what the method's
 * entry names, at the level that is usual for it. The method then says what is
 * used. Notes a list of levels that is not one a step. */
void read_noise(const Config& sampling, Family family, RunOptions& options);

}  // namespace rsm
