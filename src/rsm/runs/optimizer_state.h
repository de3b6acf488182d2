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

/** The inverse; no moments at all are those of an optimiser that has not
 * stepped yet. Throws rsm::Error naming the parameter where shapes don't match
 * or some parameters have moments and others none. */
void load_adamw_state(torch::optim::AdamW& optimizer,
                      const std::vector<std::string>& names,
                      const StateDict& state);

}  // namespace rsm
