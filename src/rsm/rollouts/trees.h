#pragma once

#include <torch/types.h>

#include "rsm/rollouts/sampling.h"

namespace rsm {

/** Stochastic paths that split into `children` at the plan's split steps, a
 * path being a tree without splits. Every stochastic step is a row of its
 * node's state; a row leads to the leaves below the child it drew.
 * Source: Branch-GRPO, arXiv 2509.06040, and its release. */
void draw_trees(Sampling& sampling);

}  // namespace rsm
