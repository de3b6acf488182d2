#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/trajectory_gradients.h"

namespace rsm {

/** The estimator that a method's knobs describe; `seed` is the run's, `parts`
 * are asked where guidance is a gradient, of a flow or of a surrogate. */
std::unique_ptr<Estimator> make_estimator(const Method& method, uint64_t seed,
                                          const GradientParts& parts);

/** States an epoch's updates take, rising: all that have rows, and its anchors,
 * or `anchor_share` (above 0) anchors for each row, chosen at random by `seed`.
 */
std::vector<int64_t> trained_states(const RolloutIndex& rollout,
                                    double anchor_share, uint64_t seed);

}  // namespace rsm
