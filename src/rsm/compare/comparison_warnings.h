#pragma once

#include <string>
#include <vector>

#include "rsm/compare/comparison.h"

namespace rsm::report {

/** What stands against comparing these runs, the gravest first; each names its
 * settings or runs. Reads all but `warnings`. */
std::vector<std::string> comparison_warnings(const Comparison& comparison);

}  // namespace rsm::report
