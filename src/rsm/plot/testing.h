#pragma once

#include <limits>

/** What tests of texts and plots share; no part of the library includes this.
 */
namespace rsm::report {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace rsm::report
