#include "rsm/rewards/http_client.h"

// Slow to compile, and built as the library was: see CMakeLists.txt. Nothing
// else includes it.
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <regex>

#include "rsm/base/error.h"
#include "rsm/rewards/pipe_signal.h"

namespace rsm {
namespace {

using Seconds = std::chrono::duration<double>;
using std::chrono::steady_clock;

constexpr double kLongest = 1e6;  // seconds; the library counts in int
constexpr int kLargestPort = 65535;
constexpr size_t kLargestAnswer = 64 << 20;  // bytes

std::string describe(httplib::Error error, bool late, double seconds) {
  if (late) {
    return cat("no answer within timeout_seconds = ", seconds);
  }
  if (error == httplib::Error::Connection) {
    return "no connection";
  }
  return cat("the connection broke (", httplib::to_string(error), ")");
}

}  // namespace

HttpAddress parse_http_address(const std::string& text) {
  static const std::regex form(
      R"((http://(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(:([0-9]{1,5}))?)(/[^\s#]*)?)");
  std::smatch parts;
  const bool right =
      std::regex_match(text, parts, form) &&
      (!parts[4].matched || std::stoi(parts[4].str()) <= kLargestPort);
  if (!right) {
    const bool secure = text.compare(0, 6, "https:") == 0;
    throw UsageError(cat(
        "[reward] got the address \"", text,
        "\"; allowed: http://HOST:PORT/PATH, without TLS or a user's name",
        secure ? "; reach a server with TLS through a proxy or a tunnel" : ""));
  }
  return {parts[1].str(), parts[5].matched ? parts[5].str() : "/"};
}

HttpAnswer http_request(const HttpRequest& request, double seconds) {
  const NoPipeSignal no_pipe_signal;
  const Seconds limit(std::min(seconds, kLongest));
  const auto began = steady_clock::now();
  const auto late = [&] { return steady_clock::now() - began >= limit; };
  httplib::Client client(request.to.origin);
  client.set_connection_timeout(limit);
  client.set_read_timeout(limit);
  client.set_write_timeout(limit);
  client.set_tcp_nodelay(true);
  httplib::Request message;
  message.method = request.method;
  message.path = request.to.path;
  message.body = request.json;
  if (!request.json.empty()) {
    message.set_header("Content-Type", "application/json");
  }
  // Asked for each piece that comes, however long the answer says it will be.
  std::string body;
  message.content_receiver = [&](const char* data, size_t size, uint64_t,
                                 uint64_t) {
    body.append(data, size);
    return !late() && body.size() <= kLargestAnswer;
  };
  const httplib::Result result = client.send(message);
  if (body.size() > kLargestAnswer) {
    return {0, "", cat("an answer of more than ", kLargestAnswer, " bytes")};
  }
  if (!result) {
    return {0, "", describe(result.error(), late(), seconds)};
  }
  return {result->status, body, ""};
}

}  // namespace rsm
