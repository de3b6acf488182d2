#pragma once

#include <torch/optim/adamw.h>

#include <string>
#include <vector>

#include "rsm/io/safetensors.h"

namespace rsm {

/** AdamW's moments as tensors "<name>.exp_avg", "<name>.exp_avg_sq" and
 * "<name>.step", for a checkpoint. `names` are those of the optimiser's
 * parameters, in its order. Parameters without a step so far have none. */
StateDict adamw_state(torch::optim::AdamW& optimizer,
                      const std::vector<std::string>& names);

/** The inverse. Throws rsm::Error where shapes don't match. */
void load_adamw_state(torch::optim::AdamW& optimizer,
                      const std::vector<std::string>& names,
                      const StateDict& state);

/** Entries of `all` whose name begins with `prefix`, without it. */
StateDict with_prefix(const StateDict& all, const std::string& prefix);

/** Adds `part` to `all`, each name behind `prefix`. */
void add_with_prefix(StateDict& all, const std::string& prefix,
                     const StateDict& part);

}  // namespace rsm
