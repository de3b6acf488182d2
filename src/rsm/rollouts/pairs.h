#pragma once

#include "rsm/rollouts/sampling.h"

namespace rsm {

/** Two paths of one start, each by stochastic steps with noise of its own, and
 * their pictures; the states of all steps are handed on. Under churn the start,
 * too, has a part of its noise drawn anew for each, as a step from t = 1 to 1
 * does; its noise is counted as that of step N. The last step, where it has
 * noise, draws none: pictures are clean. Source: FDFO, arXiv 2603.12893. */
void draw_pairs(Sampling& sampling);

}  // namespace rsm
