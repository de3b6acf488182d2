#include <csignal>

#include "rsm/cli/commands.h"

namespace rsm {
namespace {

volatile std::sig_atomic_t interrupts = 0;

/** The next one, of either kind, ends the program at once. */
void on_interrupt(int) {
  interrupts = 1;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

bool interrupted() { return interrupts != 0; }

void watch_for_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

}  // namespace rsm
