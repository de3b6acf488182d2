#pragma once

#include <memory>
#include <string>

#include "rsm/io/image.h"
#include "rsm/rewards/child_process.h"
#include "rsm/rewards/http_reward.h"
#include "rsm/rewards/testing.h"

/** Servers for tests of rewards over HTTP. */
namespace rsm {

/** What the tests' servers share. A test adds `judge(self, request)`, or a
 * `serve()` of its own. */
inline constexpr const char* kServer = R"(
import base64, http.server, json, os, pathlib, socket, struct, sys
import threading, time

class Server(http.server.BaseHTTPRequestHandler):
    asked = 0
    healthy = True

    def answer(self, status, message, **headers):
        body = message.encode() if isinstance(message, str) else (
            json.dumps(message).encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        found = self.path == "/health" and self.healthy
        self.answer(200 if found else 404, {})

    def do_POST(self):
        Server.asked += 1
        assert self.headers["Content-Type"] == "application/json"
        size = int(self.headers["Content-Length"])
        judge(self, json.loads(self.rfile.read(size)))

    def log_message(self, *arguments):
        pass

def scores(request):
    return [test_score(base64.b64decode(image), prompt)
            for image, prompt in zip(request["images"], request["prompts"])]

def listen(waiting=()):
    """Where others wait already, the system lets no more do so."""
    server = socket.create_server(("127.0.0.1", 0),
                                  backlog=0 if waiting else 100)
    for other in waiting:
        other.setblocking(False)
        other.connect_ex(server.getsockname())
    print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
    return server

def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until the test ends
)";

struct Command {
  std::string text;
};

/** A server on a free port of this machine, ended with the test. */
class TestServer {
 public:
  explicit TestServer(const std::string& text)
      : process_(python_program(
            folder_, "main.py",
            std::string(kTestScore) + kServer + text + "\nserve()\n")) {
    options.address = address() + "/score";
    options.pause_seconds = 0.05;
  }

  /** A program that first prints the address of its own. */
  explicit TestServer(const Command& command) : process_(command.text) {
    options.address = address();
  }

  std::unique_ptr<Reward> make(const Progress& progress = kNeverStops) const {
    return make_http_reward(options, progress);
  }

  /** The error of judging three pictures. */
  std::string error() const { return score_error(*make()); }

  HttpOptions options;

 private:
  std::string address() {
    const auto reply = process_.exchange("", Patience(60, kNeverStops));
    EXPECT_EQ(reply.outcome, ChildProcess::Outcome::answered)
        << process_.last_words();
    return reply.line;
  }

  TemporaryFolder folder_;
  ChildProcess process_;
};

/** What the servers' `scores` are of these pictures. */
inline torch::Tensor expected_scores(const TestPictures& pictures) {
  return expected_scores(
      pictures, [&](int64_t i) { return encode_png(pictures.images[i]); });
}

inline void expect_right(const Reward& reward, const TestPictures& pictures) {
  EXPECT_TRUE(
      torch::equal(score(reward, pictures).value, expected_scores(pictures)));
}

}  // namespace rsm
