#pragma once

#include <cstdint>

#include "rsm/base/method.h"

namespace rsm {

/** Throws UsageError where the knobs contradict each other, or can't be used
 * with `steps` sampler steps; says what would add up. */
void check_method(const Method& method, int64_t steps);

}  // namespace rsm
