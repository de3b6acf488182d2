#pragma once

#include <functional>

#include "rsm/base/communicator.h"

namespace rsm {

/** Work of all processes that the launcher started, or of this one alone;
 * returns the exit status. What one of them can't go on from ends them all, and
 * is said of it. */
int among_ranks(const std::function<int(Communicator&)>& work);

}  // namespace rsm
