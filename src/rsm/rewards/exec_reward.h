#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "rsm/base/progress.h"
#include "rsm/base/reward.h"

namespace rsm {

struct ExecOptions {
  std::string command;          ///< run as `sh -c "exec COMMAND"`
  double timeout_seconds = 60;  ///< for a request, from writing to its answer
  double start_seconds = 120;   ///< until it says that it is ready
  int64_t batch = 64;           ///< pictures of a request, at most
  int64_t retries = 2;          ///< restarts in one call of score()
  bool groups = false;          ///< whether it sees groups, see docs/rewards.md
};

/** The reward `exec:COMMAND`: a program of the user's that judges pictures over
 * its standard input and output. Framing: docs/rewards.md.
 *
 * It is started by check() or the first score(), and runs until the reward is
 * gone. Where it ends or passes the time-out amid a request, it is started
 * again and given the same request once more; RewardScores::mended counts it.
 * Calls from several threads wait for each other.
 *
 * Throws rsm::Error where pictures are refused (check_pictures), where the
 * program can't be started, ends or hangs too often, or answers anything but
 * what is asked for; a program that failed so is ended. So it is where
 * `progress`, which must outlive the reward, asks to stop: throws Interrupted.
 * Throws rsm::UsageError for an empty command. */
std::unique_ptr<Reward> make_exec_reward(const ExecOptions& options,
                                         const Progress& progress);

}  // namespace rsm
