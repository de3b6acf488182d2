#include "rsm/rewards/http_client.h"

// Slow to compile, and built as the library was: see CMakeLists.txt. Nothing
// else includes it.
#include <httplib.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <regex>

#include "rsm/base/error.h"
#include "rsm/io/file_handle.h"
#include "rsm/io/printable.h"
#include "rsm/rewards/patience.h"

namespace rsm {
namespace {

constexpr int kLargestPort = 65535;
constexpr size_t kLongestAddress = 2000;     // bytes
constexpr size_t kLargestAnswer = 64 << 20;  // bytes
constexpr size_t kLargestHead = 8 << 10;     // the library calls itself by it

/** How far an exchange has come, and what ended it. */
struct Exchange {
  bool in_head = true;  ///< the answer's headers have not ended
  size_t received = 0;  ///< bytes
  std::string problem;
};

/** Waits until the socket can be read or written; false where the time passes
 * first. */
bool is_ready(int socket, short what, const Patience& patience) {
  pollfd file = {socket, what, 0};
  while (true) {
    const auto wait = static_cast<int>(patience.next().count());
    if (wait == 0) return false;
    if (poll(&file, 1, wait) > 0) return true;
  }
}

/** A connection that waits for nothing beyond its time, and reads no more than
 * an answer may have. */
class BoundedStream : public httplib::Stream {
 public:
  BoundedStream(int socket, Exchange& exchange, double seconds,
                const Progress& progress)
      : socket_(socket),
        exchange_(exchange),
        seconds_(seconds),
        patience_(seconds, progress) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  int socket() const override { return socket_; }

  ssize_t read(char* out, size_t size) override {
    if (begin_ == end_) {
      const ssize_t got = receive();
      if (got <= 0) return got;
      begin_ = 0;
      end_ = static_cast<size_t>(got);
    }
    const size_t taken = std::min(size, end_ - begin_);
    std::copy_n(buffer_.data() + begin_, taken, out);
    begin_ += taken;
    return static_cast<ssize_t>(taken);
  }

  ssize_t write(const char* data, size_t size) override {
    while (in_time(POLLOUT)) {
      const ssize_t sent =
          ::send(socket_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) return sent;
      // It may have said why before it hung up: reading tells.
      if (errno == EPIPE || errno == ECONNRESET) {
        return static_cast<ssize_t>(size);
      }
      if (!passing()) return -1;
    }
    return -1;
  }

 private:
  static bool passing() { return errno == EAGAIN || errno == EINTR; }

  ssize_t receive() {
    const size_t most = exchange_.in_head ? kLargestHead : kLargestAnswer;
    if (exchange_.received >= most) {
      exchange_.problem = cat(exchange_.in_head ? "headers" : "an answer",
                              " of more than ", most, " bytes");
      return -1;
    }
    while (in_time(POLLIN)) {
      const ssize_t got = ::recv(
          socket_, buffer_.data(),
          std::min(buffer_.size(), most - exchange_.received), MSG_DONTWAIT);
      if (got < 0 && passing()) continue;
      exchange_.received += static_cast<size_t>(std::max<ssize_t>(got, 0));
      return got;
    }
    return -1;
  }

  bool in_time(short what) {
    const bool ready = is_ready(socket_, what, patience_);
    if (!ready) {
      exchange_.problem = cat("no answer within timeout_seconds = ", seconds_);
    }
    return ready;
  }

  const int socket_;
  Exchange& exchange_;
  const double seconds_;
  const Patience patience_;
  std::array<char, 1 << 14> buffer_;
  size_t begin_ = 0;  ///< of what is in the buffer and not yet read
  size_t end_ = 0;
};

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

/** Of the host, in the system's order; null where it has none. */
Addresses addresses_of(const HttpAddress& host) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed =
      getaddrinfo(host.host.c_str(), cat(host.port).c_str(), &wanted, &found);
  return {failed == 0 ? found : nullptr, &freeaddrinfo};
}

/** A client that lets connecting take so long, and then the whole exchange. */
class BoundedClient : public httplib::ClientImpl {
 public:
  BoundedClient(const HttpAddress& to, Exchange& exchange, double seconds,
                const Progress& progress)
      : ClientImpl(to.host, to.port),
        to_(to),
        exchange_(exchange),
        seconds_(seconds),
        progress_(progress) {}

 private:
  /** The library's own would wait to its end, whatever the user wants. */
  bool create_and_connect_socket(Socket& socket,
                                 httplib::Error& error) override {
    const Patience patience(seconds_, progress_);
    error = httplib::Error::Connection;
    exchange_.problem = "no connection";
    const auto addresses = addresses_of(to_);
    for (const auto* at = addresses.get(); at != nullptr; at = at->ai_next) {
      FileHandle file(::socket(at->ai_family,
                               SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (connect(file.number(), at->ai_addr, at->ai_addrlen) != 0 &&
          errno != EINPROGRESS) {
        continue;
      }
      if (!is_ready(file.number(), POLLOUT, patience)) {
        exchange_.problem =
            cat("no connection within timeout_seconds = ", seconds_);
        return false;
      }
      int failed = 0;
      socklen_t size = sizeof failed;
      getsockopt(file.number(), SOL_SOCKET, SO_ERROR, &failed, &size);
      if (failed != 0) continue;
      const int yes = 1;
      setsockopt(file.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      exchange_.problem.clear();
      socket.sock = file.release();
      return true;
    }
    return false;
  }

  bool process_socket(const Socket& socket,
                      std::function<bool(httplib::Stream&)> talk) override {
    BoundedStream stream(socket.sock, exchange_, seconds_, progress_);
    return talk(stream);
  }

  const HttpAddress& to_;
  Exchange& exchange_;
  const double seconds_;
  const Progress& progress_;
};

/** Seconds; 0 for a date, and for what is none. */
double retry_after(const httplib::Response& response) {
  const std::string text = response.get_header_value("Retry-After");
  const bool digits =
      !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  return digits ? std::strtod(text.c_str(), nullptr) : 0;
}

}  // namespace

HttpAddress parse_http_address(const std::string& text) {
  static const std::regex form(
      R"((http://(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(:([0-9]{1,5}))?)(/[^\s#]*)?)");
  std::smatch parts;
  const bool right =
      text.size() <= kLongestAddress && std::regex_match(text, parts, form) &&
      (!parts[4].matched || std::stoi(parts[4].str()) <= kLargestPort);
  if (!right) {
    const bool secure = text.compare(0, 6, "https:") == 0;
    throw UsageError(cat(
        "[reward] got the address \"", printable(text, kLongestAddress),
        "\"; allowed: http://HOST:PORT/PATH, without TLS or a user's name",
        secure ? "; reach a server with TLS through a proxy or a tunnel" : ""));
  }
  HttpAddress address;
  address.origin = parts[1].str();
  address.host = parts[2].str();
  if (address.host.front() == '[') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  if (parts[4].matched) address.port = std::stoi(parts[4].str());
  address.path = parts[5].matched ? parts[5].str() : "/";
  return address;
}

HttpAnswer http_request(const HttpRequest& request, double seconds,
                        const Progress& progress) {
  Exchange exchange;
  BoundedClient client(request.to, exchange, seconds, progress);
  httplib::Request message;
  message.method = request.method;
  message.path = request.to.path;
  message.body = request.json;
  if (!request.json.empty()) {
    message.set_header("Content-Type", "application/json");
  }
  message.response_handler = [&](const httplib::Response&) {
    exchange.in_head = false;
    return true;
  };
  // Asked for each piece that comes: an answer may be packed.
  std::string body;
  message.content_receiver = [&](const char* data, size_t size, uint64_t,
                                 uint64_t) {
    body.append(data, size);
    return body.size() <= kLargestAnswer;
  };
  const httplib::Result result = client.send(message);
  if (body.size() > kLargestAnswer) {
    exchange.problem = cat("an answer of more than ", kLargestAnswer, " bytes");
  }
  if (!result || !exchange.problem.empty()) {
    if (exchange.problem.empty()) {
      exchange.problem = cat("the connection broke (",
                             httplib::to_string(result.error()), ")");
    }
    return {0, "", exchange.problem, 0};
  }
  return {result->status, body, "", retry_after(*result)};
}

}  // namespace rsm
