#pragma once

namespace rsm {

/** Of this process so far, in MiB (getrusage's ru_maxrss). */
double peak_memory_mb();

}  // namespace rsm
