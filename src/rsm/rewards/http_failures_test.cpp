// Servers that are slow, refuse, break or hang.

#include <gtest/gtest.h>

#include "rsm/rewards/http_testing.h"
#include "rsm/rewards/weighted_reward.h"

namespace rsm {
namespace {

TEST(HttpReward, NoServerIsNamed) {
  HttpOptions options;
  options.address = "http://127.0.0.1:1/score";  // a port that nobody serves
  options.pause_seconds = 0.05;
  const auto reward = make_http_reward(options, kNeverStops);
  expect_parts(
      error_of([&] { reward->check(); }),
      {"[reward http://127.0.0.1:1/score]", "no connection",
       "GET http://127.0.0.1:1/health", "3 times", "start the server"});
  expect_parts(score_error(*reward), {"no connection", "images 0 to 2",
                                      "3 times", "mend the reward"});
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
  const auto scores = score(*reward, pictures);
  EXPECT_TRUE(torch::equal(scores.value, expected_scores(pictures)));
  const auto told = mended_in(scores);
  ASSERT_EQ(told.size(), 2u);
  expect_parts(told[0], {server.options.address, "again (status 500), once"});
  expect_parts(told[1], {"again (the connection broke", "once"});
  EXPECT_TRUE(score(*reward, pictures).mended.empty());
}

TEST(HttpReward, ABusyServerIsAskedAgainWhenItSays) {
  const TestServer server(R"(
def judge(self, request):
    if Server.asked == 1:
        Server.since = time.monotonic()
        self.answer(429, "", Retry_After="1")
    elif Server.asked == 2 and time.monotonic() - Server.since < 0.99:
        self.answer(422, "too early")
    elif Server.asked == 2:
        self.answer(503, "", Retry_After="Fri, 31 Dec 9999 23:59:59 GMT")
    else:
        self.answer(200, {"scores": scores(request)})
)");
  const auto told = mended_in(score(*server.make(), test_pictures(3, 4, 4)));
  ASSERT_EQ(told.size(), 2u);
  expect_parts(told[0], {"status 429", "once"});
  expect_parts(told[1], {"status 503", "once"});
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

TEST(HttpReward, ASlowServerIsWaitedForAndItsTurnTakesNoTime) {
  TestServer server(R"(
def judge(self, request):
    time.sleep(0.7)
    self.answer(200, {"scores": scores(request)})
)");
  server.options.timeout_seconds = 2;  // four of them take more
  server.options.retries = 0;
  const auto pictures = test_pictures(3, 4, 4);
  for (const auto& part : score_at_once(*server.make(), pictures)) {
    EXPECT_TRUE(torch::equal(part.value, expected_scores(pictures)));
  }
}

TEST(HttpReward, AServerKilledAmidTheRequestIsNamed) {
  TestServer server(R"(
def judge(self, request):
    os._exit(1)
)");
  expect_parts(server.error(), {"no connection", "images 0 to 2", "3 times"});
}

TEST(HttpReward, AServerThatHangsUpAmidTheRequestIsNamed) {
  TestServer server(R"(
def serve():
    server = listen()
    while True:
        client, _ = server.accept()
        client.recv(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))  # close at once
        client.close()
)");
  expect_parts(score_error(*server.make(), test_pictures(4, 400, 400)),
               {"the connection broke", "3 times"});
}

TEST(HttpReward, AServerThatRefusesBeforeReadingIsHeard) {
  const TestServer server(R"(
def serve():
    server = listen()
    while True:
        client, _ = server.accept()
        client.recv(10)
        client.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 8\r\n\r\ntoo long")
        client.close()  # with most of the request unread
)");
  expect_parts(score_error(*server.make(), test_pictures(8, 400, 400)),
               {"status 413 \"too long\"", "asked 1 time;"});
}

/** Servers that never come to an end of an answer, by what they do. */
struct Endless {
  const char* what;
  std::string program;
  const char* told;  ///< at the time-out
  int64_t side = 4;  ///< of the pictures, pixels
};

std::vector<Endless> endless_servers() {
  const char* late = "no answer within timeout_seconds = 0.5";
  const auto drips = [](const std::string& begin) {
    return cat("def judge(self, request):\n    self.wfile.write(b\"", begin,
               R"(")
    while True:
        self.wfile.write(b"0")
        time.sleep(0.05)
)");
  };
  const std::string ok = "HTTP/1.1 200 OK\\r\\n";
  return {{"hangs", "def judge(self, request): time.sleep(1000)", late},
          {"drips a status", drips(""), late},
          {"drips headers", drips(ok), late},
          {"drips a header", drips(ok + "X: "), late},
          {"drips the size of a piece",
           drips(ok + "Transfer-Encoding: chunked\\r\\n\\r\\n"), late},
          {"drips a body of a length said before",
           drips(ok + "Content-Length: 1000000\\r\\n\\r\\n"), late},
          {"drips a body that ends with the connection",
           drips(ok + "Connection: close\\r\\n\\r\\n"), late},
          {"reads the request drop by drop", R"(
def serve():
    server = listen()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client, _ = server.accept()
    while client.recv(100):
        time.sleep(0.05)
)",
           late, 600},
          {"takes no connection", R"(
def serve():
    waiting = [socket.socket() for _ in range(8)]
    server = listen(waiting)
    time.sleep(1000)
)",
           "no connection within timeout_seconds = 0.5"}};
}

TEST(HttpReward, OneThatNeverEndsPassesTheTimeOutHoweverItDrips) {
  for (const auto& [what, program, told, side] : endless_servers()) {
    SCOPED_TRACE(what);
    TestServer server(program);
    server.options.timeout_seconds = 0.5;
    server.options.retries = 0;
    expect_parts(score_error(*server.make(), test_pictures(6, side, side)),
                 {told, "images 0 to 5"});
  }
}

TEST(HttpReward, HearsOfAStopWhereverItWaits) {
  // Among them: for the turns that others have.
  auto servers = endless_servers();
  servers.push_back(
      {"asks to wait",
       "def judge(self, request): self.answer(503, '', Retry_After='60')", ""});
  for (const auto& [what, program, told, side] : servers) {
    SCOPED_TRACE(what);
    TestServer server(program);
    server.options.timeout_seconds = 1000;
    server.options.retries = 1000;
    const auto pictures = test_pictures(6, side, side);
    const StopsAt soon(20);
    EXPECT_THROW(score_at_once(*server.make(soon), pictures), Interrupted);
  }
}

TEST(HttpReward, ItsCheckHearsOfAStop) {
  TestServer server("def serve(): listen().accept(); time.sleep(1000)");
  server.options.timeout_seconds = 1000;
  const StopsAt soon(3);
  EXPECT_THROW(server.make(soon)->check(), Interrupted);
}

}  // namespace
}  // namespace rsm
