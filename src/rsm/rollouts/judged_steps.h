#pragma once

#include "rsm/rollouts/sampling.h"

namespace rsm {

/** Draws stochastic paths and, for each of their rows, the picture that the ODE
 * leads to from where it begins; behind the last row from where it ends.
 * Source: DenseGRPO, arXiv 2601.20218. */
void draw_judged_steps(Sampling& sampling);

}  // namespace rsm
