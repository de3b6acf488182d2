#pragma once

#include <chrono>

namespace rsm {

/** When to give up waiting. */
using Deadline = std::chrono::steady_clock::time_point;

/** So many seconds from now; more than 10^6 seconds are 10^6. */
Deadline deadline_in(double seconds);

/** What is left of it, rounded up: 0 where it has passed. */
std::chrono::milliseconds time_left(Deadline deadline);

}  // namespace rsm
