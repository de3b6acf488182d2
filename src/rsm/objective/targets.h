#pragma once

#include <torch/types.h>

#include "rsm/objective/rows.h"

namespace rsm {

/** [K] float64, how far the trained states' outputs before an update are from
 * y_ref + p / k_ref, where guidance and the pull to the reference balance:
 * the root of k_ref |y_old - target|^2, summed over latent elements. Of methods
 * whose states have one row each and beta above 0. */
torch::Tensor target_distances(const Method& method, const Rollout& rollout,
                               const Outputs& outputs,
                               const Guidance& guidance);

}  // namespace rsm
