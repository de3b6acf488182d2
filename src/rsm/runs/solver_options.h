#pragma once

#include <vector>

#include "rsm/io/config.h"
#include "rsm/rollouts/plan.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** `solver` of a section and, of SA-Solver, its `sa`. Notes settings of a
 * solver that is not taken. */
Solving read_solving(const Config& section, Family family);

/** That of `sampling` into `options`, whose method is known. Notes a solver of
 * pictures where the method trains a sampler's steps. */
void read_solver(const Config& sampling, Family family, RunOptions& options);

/** Notes an interval of SA-Solver that no step of these times begins in. */
void check_solver(const Config& section, const Solving& solving,
                  std::vector<double> times);

}  // namespace rsm
