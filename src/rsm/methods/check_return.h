#pragma once

#include "rsm/base/method.h"

namespace rsm {

/** The part of check_method() that is about returns other than hard ones: they
 * need later steps, or a group, and a temperature. Throws rsm::UsageError as
 * that does. */
void check_return(const Method& method);

}  // namespace rsm
