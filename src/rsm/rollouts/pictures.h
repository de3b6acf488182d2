#pragma once

#include "rsm/base/transition.h"
#include "rsm/rollouts/sampling.h"

namespace rsm {

/** Samples by the plan's solver, each noised again at the times of its draws.
 */
void draw_pictures(Sampling& sampling);

/** [S] the rows of a request's states, pictures each at a time of its own.
 * Times are counted by (run seed, epoch, prompt id, member, draw), those of
 * branches' pictures by (..., member, picture, draw); where noise is shared all
 * members are as the first. Draws of a stratified plan come one of each share,
 * noisiest first, and so do distinct ones. */
Transitions own_rows(const Path& path, const RolloutPlan& plan,
                     const RolloutRequest& request);

}  // namespace rsm
