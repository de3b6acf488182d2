#pragma once

#include <chrono>

#include "rsm/base/progress.h"

namespace rsm {

/** How long to wait for another program or machine: for some seconds, and no
 * longer than the user wants the work. Whatever waits asks it again and again,
 * so that nothing can wait without hearing of a stop. */
class Patience {
 public:
  /** So many seconds from now; more than 10^6 are 10^6. `progress` must outlive
   * it. */
  Patience(double seconds, const Progress& progress);

  /** To wait before asking again: a tenth of a second at most, 0 where the time
   * has passed. Throws Interrupted once the user wants the work to stop. */
  std::chrono::milliseconds next() const;

  /** Waits all of it. */
  void sleep() const;

 private:
  std::chrono::steady_clock::time_point end_;
  const Progress& progress_;
};

}  // namespace rsm
