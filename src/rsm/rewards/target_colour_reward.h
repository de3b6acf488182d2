#pragma once

#include <memory>
#include <string>

#include "rsm/base/reward.h"

namespace rsm {

/** How near a picture's pixels are to one colour: minus their mean squared
 * distance to it over pixels and channels, in [-1,0]. With the picture's mean
 * colour it falls into two parts, which are the metrics:
 *
 *     value = -(off_colour^2 + detail^2),
 *
 * off_colour the distance (root mean square over channels) of the mean colour,
 * detail that of the pixels to their mean colour. Differentiable.
 *
 * `colour` is RRGGBB, six hexadecimal digits; the reward's name is then
 * target-colour:RRGGBB, as written. Throws rsm::UsageError for anything else.
 * Judging throws as make_formula_reward (rewards/formula_reward.h) says. */
std::unique_ptr<Reward> make_target_colour(const std::string& colour);

/** The same of red, ff0000, named target-colour. */
std::unique_ptr<Reward> make_target_colour();

}  // namespace rsm
