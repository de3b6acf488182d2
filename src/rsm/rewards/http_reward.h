#pragma once

#include <cstdint>
#include <memory>
#include <semaphore>
#include <string>

#include "rsm/base/progress.h"
#include "rsm/base/reward.h"

namespace rsm {

/** Requests that may be under way at a server at once: the rest waits. */
using Turns = std::counting_semaphore<>;

struct HttpOptions {
  std::string address;          ///< http://HOST:PORT/PATH
  double timeout_seconds = 60;  ///< for a request, from its connection
  int64_t batch = 64;           ///< pictures of a request, at most
  int64_t retries = 2;          ///< of each request
  double pause_seconds = 0.5;   ///< before the first retry, then doubled
  int64_t requests = 1;         ///< under way at once, at most
  bool groups = false;          ///< whether it sees groups, see docs/rewards.md
  std::shared_ptr<Turns> turns = nullptr;  ///< of all rewards of the server
};

/** A reward asked over HTTP: docs/rewards.md has its requests and answers.
 * check() asks GET /health of the same host and port. Where no answer arrives
 * in time, the connection fails or the status is 408, 429, 500 or above, a
 * request is sent again, in its turn still, after a pause that doubles or the
 * one that the server asks for, and RewardScores::mended counts it; any other
 * failure is final. Waiting for a turn takes nothing of a request's time.
 *
 * Throws rsm::Error where pictures are refused (check_pictures), where retries
 * did not help, or where the answer is anything but what is asked for;
 * Interrupted where `progress`, which must outlive the reward, asks to stop;
 * and rsm::UsageError for another kind of address. */
std::unique_ptr<Reward> make_http_reward(const HttpOptions& options,
                                         const Progress& progress);

}  // namespace rsm
