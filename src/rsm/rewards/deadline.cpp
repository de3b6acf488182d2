#include "rsm/rewards/deadline.h"

#include <algorithm>

namespace rsm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr double kLongest = 1e6;  // seconds; poll counts in int

}  // namespace

Deadline deadline_in(double seconds) {
  return steady_clock::now() +
         std::chrono::duration_cast<steady_clock::duration>(
             std::chrono::duration<double>(std::min(seconds, kLongest)));
}

milliseconds time_left(Deadline deadline) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(
                                       deadline - steady_clock::now()));
}

}  // namespace rsm
