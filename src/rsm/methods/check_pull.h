#pragma once

#include "rsm/base/method.h"

namespace rsm {

/** The parts of check_method() that are about what the reference pulls at, and
 * which reference. */
void check_pull(const Method& method);

}  // namespace rsm
