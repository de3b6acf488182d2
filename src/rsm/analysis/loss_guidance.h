#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/base/rollout.h"
#include "rsm/objective/rows.h"

namespace rsm {

/** The weights of an update of `states` without what pulls: guidance alone. */
UpdateWeights guidance_weights(const Method& method,
                               const RolloutIndex& rollout,
                               const Advantages& advantages,
                               const std::vector<int64_t>& states);

/** dL/dy [S,C,H,W] of these weights before the first update: where the outputs
 * of `states`, S of them and rising, are y = y_old, on any device. */
torch::Tensor guidance_gradient(const Method& method, const Rollout& rollout,
                                const Guidance& guidance,
                                const UpdateWeights& weights,
                                const std::vector<int64_t>& states,
                                const torch::Tensor& y);

/** The guidance that training would follow, read off the loss: what the
 * gradient of rsm_loss asks of the outputs at `states` of a rollout, before the
 * first update (y = y_old, no pull to the reference), as a value gradient where
 * the step leads,
 *
 *     (D/2) dL/dy / h(t),
 *
 * float64 [S,C,H,W] for S states. Weights are an update's: the sum over the
 * states is the update's mean over its rows. Zeroth order: of A eps / s, first
 * order: of the rows' directions. */
torch::Tensor loss_guidance(const Method& method, const Rollout& rollout,
                            const Guidance& guidance,
                            const std::vector<int64_t>& states);

/** Omega of a step of a diffusion: how much of a gradient in x' arrives in x,
 * s^2 / (M sqrt(1 - alpha_bar)) = s^2 delta / M. Of DDPM's s it is
 * sqrt(a / a') (1 - a') / (1 - a). Source: arXiv 2604.17415. */
double carried_share(const Transition& transition);

}  // namespace rsm
