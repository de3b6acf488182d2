#pragma once

#include <cstdint>
#include <string>

#include "rsm/runs/run_options.h"

namespace rsm {

// The moving average of the trained weights, which is evaluated and exported.

/** Decay of the average's step that follows so many updates of the run. */
double average_decay(const RunOptions& options, int64_t updates);

/** How much of what was learnt the average holds after so many updates, in
 * [0,1]; the rest of it is the model before training. */
double learnt_share(const RunOptions& options, int64_t updates);

/** What to say where the whole run's updates leave the average nearer to the
 * model before training; "" where they don't. */
std::string average_warning(const RunOptions& options);

}  // namespace rsm
