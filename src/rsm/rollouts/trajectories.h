#pragma once

#include "rsm/rollouts/sampling.h"

namespace rsm {

/** Draws paths whose every state is handed on, the last step's too. */
void draw_trajectories(Sampling& sampling);

}  // namespace rsm
