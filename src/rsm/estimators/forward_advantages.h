#pragma once

#include "rsm/base/estimator.h"
#include "rsm/base/picture_knobs.h"

namespace rsm {

/** Advantages of all rows from those of branches alone: forward rows have what
 * the branch has that led to their picture, A squashed and scaled by their own
 * knobs. */
Advantages with_forward_rows(Advantages branches, const RolloutIndex& rollout,
                             const PictureKnobs& knobs);

}  // namespace rsm
