#pragma once

#include <string>

#include "rsm/base/progress.h"

/** HTTP without TLS, one connection a request. */
namespace rsm {

struct HttpAddress {
  std::string origin;  ///< "http://host:port", as it was written
  std::string host;    ///< IPv6 without brackets
  int port = 80;
  std::string path;  ///< "/score", "/" at least
};

/** Splits http://HOST[:PORT][/PATH]. Throws rsm::UsageError for another one. */
HttpAddress parse_http_address(const std::string& text);

struct HttpRequest {
  std::string method;  ///< "GET" or "POST"
  HttpAddress to;
  std::string json;  ///< the body; none where empty
};

struct HttpAnswer {
  int status = 0;  ///< 0: none arrived
  std::string body;
  std::string problem;     ///< why none arrived: "no connection", ...
  double retry_after = 0;  ///< seconds the server asks to wait; 0: says nothing
};

/** Sends a request and waits for the answer. `seconds` bounds connecting, and
 * then all from the connection to the answer's last byte, however it drips;
 * looking up the host's name is the system's. An answer has at most 64 MiB, of
 * which 8 KiB until its headers end. Redirects are not followed. Failures are
 * answers, not exceptions; where `progress` asks to stop, throws Interrupted.
 */
HttpAnswer http_request(const HttpRequest& request, double seconds,
                        const Progress& progress);

}  // namespace rsm
