#pragma once

#include <cstdint>

#include "rsm/base/method.h"
#include "rsm/base/transition.h"

namespace rsm {

// What a method's own proportion of guidance and pull says of how much reward
// one unit of KL to the reference is worth.

/** What a row's guidance is multiplied with beside g: its advantage's scale, or
 * a gradient's, `left` steps before its path's last one. Latents have so many
 * dimensions. */
double guidance_share(const EstimatorKnobs& knobs, int64_t left,
                      int64_t dimensions);

/** alpha of a stochastic step (s > 0), in units of what the step's rows are
 * compared by (advantages before they are clipped; where nothing is divided by
 * a spread, rewards). The loss is at rest where
 *
 *     k_ref (y - y_ref) = g A m_y G / 2
 *
 * (G the reward's gradient, or E[A eps] / s in its place), which moves the
 * step's mean by s^2 G / alpha, as the exact tilt of a small step does, with
 *
 *     alpha = k_ref / (g share w^2 / 2)
 *
 * and a KL that is summed over the latent. Of the exact KL it is beta / g. */
double temperature(const Method& method, const Transition& step, double share);

/** What |y - y_ref|^2 costs at a step, alpha w^2 / 2 = k_ref / (g share): alpha
 * times the KL of the step's normal density to the reference's. 0 of a step
 * that draws no noise, or has no guidance. */
double cost_factor(const Method& method, const Transition& step, double share);

}  // namespace rsm
