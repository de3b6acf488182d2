#include <csignal>

#include "rsm/cli/commands.h"

namespace rsm {
namespace {

/** Which signal was the first; 0: none yet. */
volatile std::sig_atomic_t first = 0;

/** Batch systems send it some time before the end, and SIGTERM then. */
void on_warning(int signal) {
  if (first == 0) first = signal;
}

/** The next one, of either kind, ends the program at once. */
void on_interrupt(int signal) {
  on_warning(signal);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

bool interrupted() { return first != 0; }

int stopped_status() { return first == SIGINT ? kFailed : kStopped; }

void watch_for_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  std::signal(SIGUSR1, on_warning);
}

}  // namespace rsm
