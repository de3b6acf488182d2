#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include "rsm/base/progress.h"

namespace rsm {

/** Progress on standard error: a bar with rate and time left on a terminal,
 * and in a pipe one plain line every half minute. */
class TerminalProgress : public Progress {
 public:
  /** A silent one only hears what should stop it: of the ranks of a run one
   * speaks. */
  explicit TerminalProgress(bool is_silent = false);
  ~TerminalProgress() override;

  void begin(const std::string& task, int64_t total) override;
  void update(int64_t done, const std::string& note) override;
  void end() override;
  void say(const std::string& line) override;
  /** After Ctrl-C, SIGTERM or SIGUSR1. */
  bool stopping() const override;

  /** A text that stands before every task, e.g. how far the whole run is. */
  void set_context(const std::string& context) { context_ = context; }

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool last);
  void clear();

  bool silent_, terminal_;
  bool shown_ = false;
  std::string context_, task_, note_;
  int64_t total_ = 0, done_ = 0;
  Clock::time_point started_, drawn_;
};

/** 75 -> "1 min 15 s" */
std::string duration_text(double seconds);

}  // namespace rsm
