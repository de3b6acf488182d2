#pragma once

#include <memory>

#include "rsm/base/reward.h"

namespace rsm {

/** How colourful a picture is: the closed form of Hasler and Suesstrunk,
 * "Measuring colourfulness in natural images" (2003), equation for M3, on
 * pixels in [0,1] (theirs, in [0,255], is 255 times it: 33/255 is moderate,
 * 82/255 high). With rg = R - G and yb = (R + G)/2 - B over a picture's pixels
 *
 *     spread = sqrt(var rg + var yb), cast = sqrt(mean rg^2 + mean yb^2),
 *     value = spread + 0.3 cast,
 *
 * variances being those of the pixels themselves (divided by their number) and
 * mean^2 the squared mean; rg and yb have their sign (code that takes their
 * absolute values gives other numbers). The metrics are "spread" and "cast".
 * Differentiable; where spread or cast is 0, as of a grey picture, its part of
 * the gradient is 0. Throws as make_formula_reward (rewards/formula_reward.h)
 * says. */
std::unique_ptr<Reward> make_colourfulness();

}  // namespace rsm
