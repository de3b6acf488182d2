#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "rsm/io/files.h"

namespace rsm {

/** `rsm finetune` on a config. What it says on standard error goes to a file.
 */
class Program {
 public:
  explicit Program(const std::string& config,
                   const std::string& said = "/dev/null")
      : id_(fork()) {
    if (id_ == 0) {
      if (std::freopen(said.c_str(), "w", stderr) == nullptr ||
          std::freopen("/dev/null", "w", stdout) == nullptr) {
        _exit(127);
      }
      const std::string program = std::string(RSM_BINARY_DIR) + "/rsm";
      execl(program.c_str(), "rsm", "finetune", config.c_str(), nullptr);
      _exit(127);
    }
  }

  /** Until its log has so many lines, or it has ended. */
  void wait_for_lines(const std::string& run, int64_t lines) const {
    const std::string log = run + "/log.jsonl";
    const auto is_there = [&] {
      const auto text = std::filesystem::exists(log) ? read_file(log) : "";
      return std::count(text.begin(), text.end(), '\n') >= lines;
    };
    siginfo_t ended{};
    while (!is_there() && ended.si_pid == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      waitid(P_PID, id_, &ended, WEXITED | WNOHANG | WNOWAIT);
    }
  }

  /** What waitpid says of it. */
  int ends_by(int signal = 0) const {
    int status = -1;
    kill(id_, signal);
    EXPECT_EQ(waitpid(id_, &status, 0), id_);
    return status;
  }

 private:
  pid_t id_;
};

}  // namespace rsm
