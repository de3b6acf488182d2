#pragma once

#include "rsm/io/config.h"
#include "rsm/paths/path.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Reads `sampling.solver` and, of SA-Solver, `sampling.sa`, into `options`,
 * whose method is known. Notes a solver of pictures where the method trains a
 * sampler's steps, and settings of a solver that is not taken. */
void read_solver(const Config& sampling, Family family, RunOptions& options);

/** Notes an interval of SA-Solver that no step begins in. */
void check_solver(const Config& sampling, const Path& path,
                  const RunOptions& options);

}  // namespace rsm
