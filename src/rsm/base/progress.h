#pragma once

#include <cstdint>
#include <string>

#include "rsm/base/error.h"

namespace rsm {

/** Where long work tells how far it is, and hears that it should stop. The
 * library itself never prints. */
class Progress {
 public:
  virtual ~Progress() = default;
  /** Begins a task of `total` units (0 = unknown). */
  virtual void begin(const std::string& task, int64_t total) = 0;
  /** `done` units are finished; `note` is a short text beside the bar. */
  virtual void update(int64_t done, const std::string& note) = 0;
  virtual void end() = 0;
  /** A line of its own, above the bar. */
  virtual void say(const std::string& line) = 0;
  /** Whether the user wants the work to stop. Asked from several threads. */
  virtual bool stopping() const { return false; }

  /** Long work calls it between its parts: throws Interrupted once stopping().
   */
  void stop_point() const {
    if (stopping()) {
      throw Interrupted("interrupted");
    }
  }
};

/** Says nothing. */
class NoProgress : public Progress {
 public:
  void begin(const std::string&, int64_t) override {}
  void update(int64_t, const std::string&) override {}
  void end() override {}
  void say(const std::string&) override {}
};

}  // namespace rsm
