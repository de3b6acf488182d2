#pragma once

#include "rsm/base/error.h"
#include "rsm/base/method.h"

namespace rsm {

/** Throws UsageError of these parts, the method's name before them, unless the
 * condition holds. */
template <typename... Parts>
void require(bool condition, const Method& method, const Parts&... parts) {
  if (!condition) throw UsageError(cat("[", method.name, "] ", parts...));
}

}  // namespace rsm
