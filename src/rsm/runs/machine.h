#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

namespace rsm {

/** What the same numbers, bit for bit, are claimed for only: CPU model,
 * LibTorch version, rows of a tile and, for a run on a GPU, its name. Threads
 * change no number. */
std::string machine_fingerprint(torch::Device device, int64_t tile);

}  // namespace rsm
