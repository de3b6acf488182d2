#pragma once

#include <string>

/** HTTP without TLS, one connection a request. */
namespace rsm {

struct HttpAddress {
  std::string origin;  ///< "http://host:port"
  std::string path;    ///< "/score", "/" at least
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
  std::string problem;  ///< why none arrived: "no connection", ...
};

/** Sends a request and waits for the answer. `seconds` bounds connecting, each
 * silence until the answer's body begins, and all until it ends; looking up the
 * host's name is the system's. Redirects are not followed. Failures are
 * answers, not exceptions. */
HttpAnswer http_request(const HttpRequest& request, double seconds);

}  // namespace rsm
