#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "rsm/base/reward.h"

namespace rsm {

struct HttpOptions {
  std::string address;          ///< http://HOST:PORT/PATH
  double timeout_seconds = 60;  ///< for a request
  int64_t batch = 64;           ///< pictures of a request, at most
  int64_t retries = 2;          ///< of each request
  double pause_seconds = 0.5;   ///< before the first retry, then doubled
};

/** A reward asked over HTTP: docs/rewards.md has its requests and answers.
 * check() asks GET /health of the same host and port. Where no answer arrives
 * in time, the connection fails or the status is 500 or above, a request is
 * sent again; any other failure is final.
 *
 * Throws rsm::Error where pictures are refused (check_pictures), where retries
 * did not help, or where the answer is anything but what is asked for; and
 * rsm::UsageError for another kind of address. */
std::unique_ptr<Reward> make_http_reward(const HttpOptions& options);

}  // namespace rsm
