#pragma once

#include <string>
#include <vector>

namespace rsm {

/** Keys ("train.lr: 0.0003 -> 0.001") whose values differ between two resolved
 * configs, save those that only say how long, how fast, how often or where:
 * epochs (unless the learning rate falls with them), max_minutes, max_images,
 * checkpoint, evaluation.every(_minutes), evaluation.watch, threads, device,
 * folder, label; and
 * save the `proven` ones, whose contents are compared elsewhere. Throws
 * UsageError naming `origin`, the file of `before`, where that is no config. */
std::vector<std::string> changed_keys(
    const std::string& before, const std::string& after,
    const std::string& origin = "config.yaml",
    const std::vector<std::string>& proven = {});

}  // namespace rsm
