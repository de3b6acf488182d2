#pragma once

#include <torch/types.h>

namespace rsm {

/** The most memory so far of where a run computes, in MiB: on the CPU what this
 * process held (getrusage's ru_maxrss), on a GPU what LibTorch's allocator took
 * of it for this process, caches included. */
double peak_memory_mb(torch::Device device);

}  // namespace rsm
