#pragma once

#include "rsm/base/method.h"

namespace rsm {

/** Parts of check_method(): of methods whose source is pictures. */
void check_pictures(const Method& method);

/** Of forward rows, where there are any. */
void check_forward(const Method& method);

}  // namespace rsm
