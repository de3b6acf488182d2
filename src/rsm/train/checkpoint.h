#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rsm/io/safetensors.h"

namespace rsm {

/** Everything a run needs to go on after `epoch` finished epochs. */
struct Checkpoint {
  int64_t epoch = 0;
  StateDict tensors;
  nlohmann::json counters;  ///< images, seconds, ...
};

/** Writes checkpoints/epoch-NNNNNN.safetensors, then a .json beside it with
 * the file's SHA-256, and removes all but the newest two. A checkpoint without
 * its .json was never finished. */
void save_checkpoint(const std::string& run_folder,
                     const Checkpoint& checkpoint);

/** The newest whole checkpoint; a damaged one is passed over, and named in
 * `damaged`. None where there is none. */
std::optional<Checkpoint> latest_checkpoint(const std::string& run_folder,
                                            std::vector<std::string>& damaged);

/** Keys ("train.lr: 0.0003 -> 0.001") whose values differ between two resolved
 * configs, save those that only say how long, how fast or how often: epochs
 * (unless the learning rate falls with them), max_minutes, max_images,
 * checkpoint, evaluation.every(_minutes), threads, folder, label. */
std::vector<std::string> changed_keys(const std::string& before,
                                      const std::string& after);

/** CPU model and LibTorch version: the same numbers, bit for bit, are claimed
 * for one such machine only. */
std::string machine_fingerprint();

}  // namespace rsm
