#pragma once

#include <torch/types.h>

#include "rsm/rollouts/sampling.h"

namespace rsm {

/** A deterministic root; K_i one-step branches from its state at step i; each
 * branch deterministic to its picture.
 *
 * Branches go on together, the k-th evaluation of all in one batch, each on its
 * own grid: the remaining ODE steps, or the plan's cheap continuation by Adams
 * and Bashforth's second-order formula for uneven steps. With x' = a_x x +
 * m_y y the path's ODE step and h its length in the path's solver_time,
 *
 *     x' = a_x x + m_y (y + h / (2 h_before) (y - y_before)) */
void draw_branches(Sampling& sampling);

}  // namespace rsm
