#include "rsm/rewards/http_reward.h"

#include <gtest/gtest.h>

#include <future>

#include "rsm/base/error.h"
#include "rsm/io/image.h"
#include "rsm/rewards/child_process.h"
#include "rsm/rewards/http_client.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"
#include "rsm/rewards/weighted_reward.h"

namespace rsm {
namespace {

/** What the tests' servers share. A test adds `judge(self, request)`. */
constexpr const char* kServer = R"(
import base64, http.server, json, os, pathlib, socket, struct, sys
import threading, time

class Server(http.server.BaseHTTPRequestHandler):
    asked = 0
    healthy = True

    def answer(self, status, message):
        body = message.encode() if isinstance(message, str) else (
            json.dumps(message).encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
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

  std::unique_ptr<Reward> make() const { return make_http_reward(options); }

  /** The error of judging three pictures. */
  std::string error() const {
    const auto reward = make();
    const auto pictures = test_pictures(3, 4, 5);
    const auto message =
        error_of([&] { reward->score(pictures.images, pictures.prompts); });
    expect_parts(message, {"[reward " + options.address + "]"});
    return message;
  }

  HttpOptions options;

 private:
  std::string address() {
    const auto reply = process_.exchange("", deadline_in(60));
    EXPECT_EQ(reply.outcome, ChildProcess::Outcome::answered)
        << process_.last_words();
    return reply.line;
  }

  TemporaryFolder folder_;
  ChildProcess process_;
};

torch::Tensor expected_scores(const TestPictures& pictures) {
  std::vector<float> scores;
  for (int64_t i = 0; i < pictures.images.size(0); ++i) {
    scores.push_back(
        test_score(encode_png(pictures.images[i]), pictures.prompts[i].text));
  }
  return torch::tensor(scores);
}

void expect_right(const Reward& reward, const TestPictures& pictures) {
  const auto scores = reward.score(pictures.images, pictures.prompts);
  EXPECT_TRUE(torch::equal(scores.value, expected_scores(pictures)));
}

TEST(HttpReward, GivesTheServersScores) {
  TestServer server(R"(
def judge(self, request):
    count = len(request["prompts"])
    self.answer(200, {"scores": scores(request), "metrics": {
        "count": [count] * count, "path": [len(self.path)] * count}})
)");
  server.options.batch = 4;
  const auto reward = server.make();
  EXPECT_EQ(reward->name(), server.options.address);
  reward->check();
  const auto pictures = test_pictures(6, 5, 7);
  const auto scores = reward->score(pictures.images, pictures.prompts);
  EXPECT_TRUE(torch::equal(scores.value, expected_scores(pictures)));
  EXPECT_TRUE(torch::equal(scores.metrics.at("count"),
                           torch::tensor({4.f, 4.f, 4.f, 4.f, 2.f, 2.f})));
  EXPECT_EQ(scores.metrics.at("path")[0].item<float>(), 6);  // "/score"
  expect_right(*reward, test_pictures(2, 150, 150));
  EXPECT_EQ(reward->score(pictures.images.slice(0, 0, 0), {}).value.numel(), 0);
}

TEST(HttpReward, DoesNotDependOnTheBatch) {
  TestServer server(R"(
def judge(self, request):
    self.answer(200, {"scores": scores(request)})
)");
  server.options.batch = 3;
  expect_each_picture_alone(*server.make(), test_pictures(10, 4, 6));
}

TEST(HttpReward, NoServerIsNamed) {
  HttpOptions options;
  options.address = "http://127.0.0.1:1/score";  // a port that nobody serves
  options.pause_seconds = 0.05;
  const auto reward = make_http_reward(options);
  expect_parts(
      error_of([&] { reward->check(); }),
      {"[reward http://127.0.0.1:1/score]", "no connection",
       "GET http://127.0.0.1:1/health", "3 times", "start the server"});
  const auto pictures = test_pictures(3, 4, 4);
  expect_parts(
      error_of([&] { reward->score(pictures.images, pictures.prompts); }),
      {"no connection", "images 0 to 2", "3 times", "mend the reward"});
}

TEST(HttpReward, AnUnhealthyServerIsNamed) {
  const TestServer server("Server.healthy = False");
  const auto reward = server.make();
  expect_parts(error_of([&] { reward->check(); }),
               {"status 404", "/health", "1 time;"});
}

TEST(HttpReward, PassingFailuresAreAskedAgain) {
  TestServer server(R"(
def judge(self, request):
    if Server.asked == 1:
        self.answer(500, "busy")
    elif Server.asked == 2:
        self.close_connection = True  # without an answer
    else:
        self.answer(200, {"scores": scores(request)})
)");
  const auto reward = server.make();
  const auto pictures = test_pictures(3, 4, 4);
  const auto scores = reward->score(pictures.images, pictures.prompts);
  EXPECT_TRUE(torch::equal(scores.value, expected_scores(pictures)));
  const auto told = mended_in(scores);
  ASSERT_EQ(told.size(), 2u);
  expect_parts(told[0], {server.options.address, "again (status 500), once"});
  expect_parts(told[1], {"again (the connection broke", "once"});
  EXPECT_TRUE(reward->score(pictures.images, pictures.prompts).mended.empty());
}

TEST(HttpReward, ABusyServerIsAskedAgainWhenItSays) {
  const TestServer server(R"(
def judge(self, request):
    if Server.asked == 1:
        Server.since = time.monotonic()
        self.send_response(429)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()
    elif Server.asked == 2 and time.monotonic() - Server.since < 0.99:
        self.answer(422, "too early")
    elif Server.asked == 2:
        self.send_response(503)
        self.send_header("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()
    else:
        self.answer(200, {"scores": scores(request)})
)");
  const auto reward = server.make();
  const auto pictures = test_pictures(3, 4, 4);
  const auto told = mended_in(reward->score(pictures.images, pictures.prompts));
  ASSERT_EQ(told.size(), 2u);
  expect_parts(told[0], {"status 429", "once"});
  expect_parts(told[1], {"status 503", "once"});
}

/** Scores of parts of an epoch asked for at once, as while it is drawn. */
std::vector<RewardScores> score_at_once(const Reward& reward, int64_t parts,
                                        const TestPictures& pictures) {
  std::vector<std::future<RewardScores>> judging;
  for (int64_t i = 0; i < parts; ++i) {
    judging.push_back(std::async(std::launch::async, [&] {
      return reward.score(pictures.images, pictures.prompts);
    }));
  }
  std::vector<RewardScores> scores;
  for (auto& part : judging) {
    scores.push_back(part.get());
  }
  return scores;
}

/** Judges after a moment, and refuses to where more requests are there. */
constexpr const char* kBearsOne = R"(
busy = threading.Lock()
def judge(self, request):
    if not busy.acquire(blocking=False):
        self.answer(422, "two at once")
        return
    time.sleep(0.1)
    busy.release()
    self.answer(200, {"scores": scores(request)})
)";

TEST(HttpReward, AsksOneRequestAfterTheOther) {
  TestServer server(kBearsOne);
  server.options.batch = 2;
  const auto pictures = test_pictures(3, 4, 4);
  for (const auto& part : score_at_once(*server.make(), 4, pictures)) {
    EXPECT_TRUE(torch::equal(part.value, expected_scores(pictures)));
    EXPECT_TRUE(part.mended.empty());
  }
}

TEST(HttpReward, RewardsOfOneServerTakeTurnsTogether) {
  TestServer server(kBearsOne);
  RewardSpec first, second;
  first.name = server.options.address;
  second.name = server.options.address + "/other";
  second.requests = 8;
  const auto reward = make_rewards({first, second});
  const auto pictures = test_pictures(3, 4, 4);
  for (const auto& part : score_at_once(*reward, 4, pictures)) {
    EXPECT_TRUE(torch::equal(part.value, 2 * expected_scores(pictures)));
  }
}

TEST(HttpReward, AsksSoManyAtOnceAsItMay) {
  TestServer server(R"(
both = threading.Barrier(2)
here = threading.Semaphore(2)
def judge(self, request):
    if not here.acquire(blocking=False):
        self.answer(422, "three at once")
        return
    both.wait(60)  # each waits for another one
    here.release()
    self.answer(200, {"scores": scores(request)})
)");
  RewardSpec spec;
  spec.name = server.options.address;
  spec.requests = 2;
  const auto pictures = test_pictures(3, 4, 4);
  for (const auto& part : score_at_once(*make_rewards({spec}), 4, pictures)) {
    EXPECT_TRUE(torch::equal(part.value, expected_scores(pictures)));
  }
  // Also the batches of one call.
  spec.batch = 1;
  expect_right(*make_rewards({spec}), test_pictures(8, 4, 4));
}

TEST(HttpReward, OfFailuresAtOnceTheFirstPicturesAreNamed) {
  TestServer server(R"(
both = threading.Barrier(2)
def judge(self, request):
    both.wait(60)
    self.answer(422, "no")
)");
  server.options.batch = 1;
  server.options.requests = 2;
  expect_parts(server.error(), {"status 422", "image 0,", "asked 1 time;"});
}

TEST(HttpReward, WaitingForATurnIsNoTimeOfARequest) {
  TestServer server(R"(
def judge(self, request):
    time.sleep(0.7)
    self.answer(200, {"scores": scores(request)})
)");
  server.options.timeout_seconds = 2;  // four of them take more
  server.options.retries = 0;
  const auto pictures = test_pictures(3, 4, 4);
  for (const auto& part : score_at_once(*server.make(), 4, pictures)) {
    EXPECT_TRUE(torch::equal(part.value, expected_scores(pictures)));
  }
}

TEST(HttpReward, LastingFailuresAreTold) {
  TestServer server(R"(
def judge(self, request):
    self.answer(503, f"out of memory, {Server.asked} times")
)");
  server.options.retries = 1;
  expect_parts(server.error(),
               {"status 503", "out of memory, 2 times", "images 0 to 2",
                "asked 2 times", "mend the reward"});
}

TEST(HttpReward, WhatTheServerRefusesIsNotAskedAgain) {
  const TestServer server(R"(
def judge(self, request):
    self.answer(422, f"bad prompt, {Server.asked} times")
)");
  expect_parts(server.error(),
               {"status 422", "bad prompt, 1 times", "asked 1 time;"});
}

TEST(HttpReward, AHungServerIsToldByTheTimeOut) {
  TestServer server(R"(
def judge(self, request):
    time.sleep(1000)
)");
  server.options.timeout_seconds = 0.5;
  server.options.retries = 0;
  expect_parts(server.error(), {"timeout_seconds = 0.5", "images 0 to 2"});
}

TEST(HttpReward, ASlowServerIsWaitedFor) {
  TestServer server(R"(
def judge(self, request):
    time.sleep(0.5)
    self.answer(200, {"scores": scores(request)})
)");
  server.options.timeout_seconds = 60;
  expect_right(*server.make(), test_pictures(3, 4, 4));
}

TEST(HttpReward, AServerKilledAmidTheRequestIsNamed) {
  TestServer server(R"(
def judge(self, request):
    os._exit(1)
)");
  expect_parts(server.error(), {"no connection", "images 0 to 2", "3 times"});
}

TEST(HttpReward, AHugeAnswerIsCutOff) {
  const TestServer server(R"(
def judge(self, request):
    self.send_response(200)
    self.end_headers()
    try:
        while True:
            self.wfile.write(b" " * (1 << 20))
    except OSError:
        pass
)");
  expect_parts(server.error(), {"more than 67108864 bytes"});
}

TEST(HttpReward, ASlowlyDrippingServerPassesTheTimeOutToo) {
  // Of a length said before, and of one that shows at the end.
  for (const std::string header :
       {"self.send_header(\"Content-Length\", \"1000\")", "pass"}) {
    TestServer server(cat(R"(
def judge(self, request):
    self.send_response(200)
    )",
                          header, R"(
    self.end_headers()
    for i in range(1000):
        self.wfile.write(b" ")
        time.sleep(0.1)
)"));
    server.options.timeout_seconds = 0.5;
    server.options.retries = 0;
    expect_parts(server.error(), {"timeout_seconds = 0.5"});
  }
}

TEST(HttpReward, HeadersThatDripPassTheTimeOutToo) {
  for (const std::string begin :
       {"", "HTTP/1.1 200 OK\\r\\n", "HTTP/1.1 200 OK\\r\\nX: ",
        "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"}) {
    TestServer server(
        cat("def judge(self, request):\n    self.wfile.write(b\"", begin, R"(")
    for i in range(100000):
        self.wfile.write(b"0")
        time.sleep(0.05)
)"));
    server.options.timeout_seconds = 0.5;
    server.options.retries = 0;
    expect_parts(server.error(), {"no answer within timeout_seconds = 0.5"});
  }
}

TEST(HttpReward, ARequestThatIsReadDropByDropPassesTheTimeOutToo) {
  TestServer server(R"(
def serve():
    server = socket.create_server(("127.0.0.1", 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
    client, _ = server.accept()
    while client.recv(100):
        time.sleep(0.05)
)");
  server.options.timeout_seconds = 0.5;
  server.options.retries = 0;
  const auto reward = server.make();
  const auto pictures = test_pictures(16, 600, 600);
  expect_parts(
      error_of([&] { reward->score(pictures.images, pictures.prompts); }),
      {"no answer within timeout_seconds = 0.5"});
}

TEST(HttpReward, HugeHeadersAreCutOff) {
  const auto server = [](const std::string& head) {
    return "def judge(self, request):\n"
           "    self.wfile.write(b'HTTP/1.1 200 " +
           head + "\\r\\nContent-Length: 2\\r\\n\\r\\n{}')\n";
  };
  for (const std::string head :
       {"' + b'a' * 1000000 + b'", "OK\\r\\n' + b'X: ' + b'a' * 1000000 + b'",
        "OK\\r\\n' + b'X: a\\r\\n' * 100000 + b'"}) {
    TestServer huge(server(head));
    huge.options.retries = 0;
    expect_parts(huge.error(), {"headers of more than 8192 bytes"});
  }
  // Less is taken, however the library reads it.
  expect_parts(TestServer(server("' + b'a' * 8000 + b'")).error(),
               {"answered {}", "is needed"});
}

TEST(HttpReward, AServerThatHangsUpAmidTheRequestIsNamed) {
  TestServer server(R"(
def serve():
    server = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
    while True:
        client, _ = server.accept()
        client.recv(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))  # close at once
        client.close()
)");
  const auto reward = server.make();
  const auto pictures = test_pictures(4, 400, 400);
  expect_parts(
      error_of([&] { reward->score(pictures.images, pictures.prompts); }),
      {"the connection broke", "3 times"});
}

TEST(HttpReward, AServerThatRefusesBeforeReadingIsHeard) {
  const TestServer server(R"(
def serve():
    server = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
    while True:
        client, _ = server.accept()
        client.recv(10)
        client.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 8\r\n\r\ntoo long")
        client.close()  # with most of the request unread
)");
  const auto reward = server.make();
  const auto pictures = test_pictures(8, 400, 400);
  expect_parts(
      error_of([&] { reward->score(pictures.images, pictures.prompts); }),
      {"status 413 \"too long\"", "asked 1 time;"});
}

TEST(HttpReward, WrongAnswersAreNamed) {
  const auto error = [](const std::string& answer) {
    return TestServer("def judge(self, request): self.answer(200, " + answer +
                      ")")
        .error();
  };
  expect_parts(error("'<html>hello</html>'"), {"<html>", "no JSON"});
  expect_parts(error("{'scores': [1, 2]}"), {"2 numbers", "images 0 to 2"});
  expect_parts(error("{'scores': [1, float('nan'), 2]}"), {"image 1", "NaN"});
  expect_parts(error("{'error': 'no such prompt'}"), {"no such prompt"});
  expect_parts(error("'[' * 8000 + ']' * 8000"), {"nest deeper than 100"});
}

TEST(HttpReward, TheExampleOfTheDocsRuns) {
  const std::string command = std::string("python3 '") + RSM_SOURCE_DIR +
                              "/docs/examples/http_reward.py' 0";
  const TestServer server(Command{command});
  const auto reward = make_reward(server.options.address);
  reward->check();
  const auto pictures = test_pictures(5, 8, 6);
  const auto scores = reward->score(pictures.images, pictures.prompts);
  for (int64_t i = 0; i < 5; ++i) {
    const auto size = encode_png(pictures.images[i]).size();
    EXPECT_EQ(scores.value[i].item<float>(),
              static_cast<float>(-static_cast<double>(size) / 1000));
  }
}

TEST(HttpAddress, IsSplit) {
  const auto split = [](const std::string& text) {
    const auto address = parse_http_address(text);
    return address.origin + " " + address.path;
  };
  EXPECT_EQ(split("http://a.b:80/c/d?e=f"), "http://a.b:80 /c/d?e=f");
  EXPECT_EQ(split("http://localhost"), "http://localhost /");
  EXPECT_EQ(split("http://[::1]:8000/"), "http://[::1]:8000 /");
  EXPECT_EQ(split("http://[fe80::1:AB]/x"), "http://[fe80::1:AB] /x");
}

TEST(HttpAddress, OthersAreUsageErrors) {
  for (const std::string text :
       {"http:", "http://", "http:localhost", "http:///score", "http://a:b/",
        "http://a:70000/", "http://a:999999/", "http://me:secret@a/",
        "ftp://a/", "http://a b/", "http://a/b c", "http://a/#b"}) {
    EXPECT_THROW(parse_http_address(text), UsageError) << text;
  }
  EXPECT_THROW(parse_http_address("http://a/" + std::string(1000000, 'b')),
               UsageError);
  expect_parts(error_of([] { make_reward("http:localhost"); }),
               {"\"http:localhost\"", "http://HOST:PORT/PATH"});
  expect_parts(error_of([] { make_reward("https://a/b"); }),
               {"\"https://a/b\"", "proxy or a tunnel"});
}

}  // namespace
}  // namespace rsm
