#pragma once

#include "rsm/base/method.h"

namespace rsm {

// Parts of check_method() that are about what is compared with what.

/** Whether a reward is compared with others of its group. */
bool compares_members(const EstimatorKnobs& knobs);

/** Of a pair, whose rows stand at no step: only outputs tell them apart. */
void check_pairs(const Method& method);

/** Of pictures that count by how far from their siblings they are. */
void check_diversity(const Method& method);

}  // namespace rsm
