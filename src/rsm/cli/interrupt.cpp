#include <csignal>

#include "rsm/cli/commands.h"

namespace rsm {
namespace {

volatile std::sig_atomic_t interrupts = 0;

void on_interrupt(int signal) {
  interrupts = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

bool interrupted() { return interrupts != 0; }

void watch_for_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

}  // namespace rsm
