#include "rsm/rewards/pipe_signal.h"

#include <cerrno>

namespace rsm {
namespace {

sigset_t pipe_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  return signals;
}

}  // namespace

NoPipeSignal::NoPipeSignal() {
  sigset_t pending;
  sigpending(&pending);
  was_pending_ = sigismember(&pending, SIGPIPE) == 1;
  const sigset_t blocked = pipe_signal();
  pthread_sigmask(SIG_BLOCK, &blocked, &before_);
}

NoPipeSignal::~NoPipeSignal() {
  const int error = errno;
  if (!was_pending_) {
    // A failed write left the signal waiting for this thread: take it.
    const sigset_t blocked = pipe_signal();
    const timespec at_once{};
    while (sigtimedwait(&blocked, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  errno = error;
}

}  // namespace rsm
