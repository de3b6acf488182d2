#include "rsm/cli/terminal_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"

namespace rsm {
namespace {

constexpr double kTerminalSeconds = 0.2;  ///< between two drawings
constexpr double kPipeSeconds = 30;
constexpr int kBarWidth = 24;

/** Work whose units take long is told in seconds a unit. */
std::string rate_text(double rate) {
  if (rate > 0 && rate < 0.1) return duration_text(1 / rate) + " each";
  char text[32];
  std::snprintf(text, sizeof text, rate < 10 ? "%.1f/s" : "%.0f/s", rate);
  return text;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (whole < 60) {
    return cat(whole, " s");
  }
  if (whole < 3600) {
    return cat(whole / 60, " min ", whole % 60, " s");
  }
  return cat(whole / 3600, " h ", whole / 60 % 60, " min");
}

TerminalProgress::TerminalProgress(bool is_silent)
    : silent_(is_silent), terminal_(isatty(STDERR_FILENO) == 1) {}

TerminalProgress::~TerminalProgress() { clear(); }

void TerminalProgress::begin(const std::string& task, int64_t total) {
  task_ = task;
  total_ = total;
  done_ = 0;
  note_.clear();
  started_ = drawn_ = Clock::now();
}

void TerminalProgress::update(int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const double since =
      std::chrono::duration<double>(Clock::now() - drawn_).count();
  if (since >= (terminal_ ? kTerminalSeconds : kPipeSeconds)) {
    draw(false);
    drawn_ = Clock::now();
  }
}

void TerminalProgress::draw(bool last) {
  if (silent_) return;
  const double seconds =
      std::chrono::duration<double>(Clock::now() - started_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string line = context_.empty() ? task_ : context_ + " | " + task_;
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / total_);
    if (terminal_) {
      const int full = static_cast<int>(share * kBarWidth);
      line += " [" + std::string(full, '#') +
              std::string(kBarWidth - full, '.') + "]";
    }
    line += cat(" ", done_, "/", total_, ", ", rate_text(rate));
    if (!last && rate > 0) {
      line += ", " + duration_text((total_ - done_) / rate) + " left";
    }
  } else {
    line += cat(" ", done_, ", ", rate_text(rate));
  }
  if (!note_.empty()) {
    line += ", " + note_;
  }
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
    shown_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void TerminalProgress::clear() {
  if (shown_) {
    std::fprintf(stderr, "\r\033[K");
    std::fflush(stderr);
    shown_ = false;
  }
}

void TerminalProgress::end() { clear(); }

bool TerminalProgress::stopping() const { return interrupted(); }

void TerminalProgress::say(const std::string& line) {
  if (silent_) return;
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace rsm
