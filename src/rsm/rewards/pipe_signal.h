#pragma once

#include <signal.h>

namespace rsm {

/** While it lives, writing where nobody reads any more fails with EPIPE in
 * this thread instead of ending the program by SIGPIPE. */
class NoPipeSignal {
 public:
  NoPipeSignal();
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;
  ~NoPipeSignal();

 private:
  sigset_t before_;
  bool was_pending_;
};

}  // namespace rsm
