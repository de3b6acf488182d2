#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

namespace rsm {

/** What the same numbers, bit for bit, are claimed for only: CPU model,
 * LibTorch version, rows of a tile and, for a run on a GPU, its name. Threads
 * change no number. */
std::string machine_fingerprint(torch::Device device, int64_t tile);

/** Whether this CPU computes with bfloat16 as such: elsewhere LibTorch takes
 * every product and convolution through float32. */
bool has_fast_bfloat16();

/** What to say of rollouts in half precision on a CPU that is not `fast` at it;
 * "" where there is nothing to say. */
std::string rollout_type_warning(torch::Device device,
                                 torch::ScalarType rollout_type, bool fast);

}  // namespace rsm
