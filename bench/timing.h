#pragma once

#include <algorithm>
#include <cmath>

#include "rsm/base/clock.h"

/** What measurements share. */
namespace rsm {

/** Seconds of the fastest of `rounds`, after one to warm up. */
template <typename Work>
double best_seconds(int rounds, const Work& work) {
  work();
  double best = INFINITY;
  for (int i = 0; i < rounds; ++i) {
    const Clock clock;
    work();
    best = std::min(best, clock.seconds());
  }
  return best;
}

}  // namespace rsm
