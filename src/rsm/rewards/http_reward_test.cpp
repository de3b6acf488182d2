#include "rsm/rewards/http_reward.h"

#include <gtest/gtest.h>

#include "rsm/rewards/http_client.h"
#include "rsm/rewards/http_testing.h"
#include "rsm/rewards/metadata_testing.h"
#include "rsm/rewards/rewards.h"

namespace rsm {
namespace {

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
  const auto scores = score(*reward, pictures);
  EXPECT_TRUE(torch::equal(scores.value, expected_scores(pictures)));
  EXPECT_TRUE(torch::equal(scores.metrics.at("count"),
                           torch::tensor({4.f, 4.f, 4.f, 4.f, 2.f, 2.f})));
  EXPECT_EQ(scores.metrics.at("path")[0].item<float>(), 6);  // "/score"
  expect_right(*reward, test_pictures(2, 150, 150));
  EXPECT_EQ(reward->score(pictures.images.slice(0, 0, 0), {}).value.numel(), 0);
}

TEST(HttpReward, IsToldAllThatFilesOfPromptsSay) {
  std::unique_ptr<TestServer> server;
  expect_metadata_arrives([&](const std::string& beginning) {
    server = std::make_unique<TestServer>(beginning + R"(
def judge(self, request):
    self.answer(200, {"scores": same_metadata(request)})
)");
    server->options.batch = 32;
    return server->make();
  });
}

TEST(HttpReward, IsToldNothingElseOfPromptsWithoutMetadata) {
  const TestServer server(R"(
def judge(self, request):
    known = sorted(request) == ["images", "prompts"]
    self.answer(200 if known else 400, {"scores": scores(request)})
)");
  expect_right(*server.make(), test_pictures(3, 4, 4));
}

TEST(HttpReward, DoesNotDependOnTheBatch) {
  TestServer server(R"(
def judge(self, request):
    self.answer(200, {"scores": scores(request)})
)");
  server.options.batch = 3;
  expect_each_picture_alone(*server.make(), test_pictures(10, 4, 6));
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
  for (const auto& part : score_at_once(*server.make(), pictures)) {
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
  const auto reward = make_rewards({first, second}, kNeverStops);
  const auto pictures = test_pictures(3, 4, 4);
  for (const auto& part : score_at_once(*reward, pictures)) {
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
  const auto reward = make_rewards({spec}, kNeverStops);
  for (const auto& part : score_at_once(*reward, pictures)) {
    EXPECT_TRUE(torch::equal(part.value, expected_scores(pictures)));
  }
  // Also the batches of one call.
  spec.batch = 1;
  expect_right(*make_rewards({spec}, kNeverStops), test_pictures(8, 4, 4));
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

TEST(HttpReward, WrongAnswersAreNamed) {
  const auto error = [](const std::string& answer) {
    return TestServer("def judge(self, request): self.answer(200, " + answer +
                      ")")
        .error();
  };
  expect_parts(error("'<html>hello</html>'"), {"<html>", "no JSON"});
  expect_parts(error("{'scores': [1, 2]}"), {"2 numbers", "images 0 to 2"});
  expect_parts(error("{'error': 'no such prompt'}"), {"no such prompt"});
}

TEST(HttpReward, TheExampleOfTheDocsRuns) {
  const std::string command = std::string("python3 '") + RSM_SOURCE_DIR +
                              "/docs/examples/http_reward.py' 0";
  const TestServer server(Command{command});
  const auto reward = make_reward(server.options.address, kNeverStops);
  reward->check();
  const auto pictures = test_pictures(5, 8, 6);
  const auto scores = score(*reward, pictures);
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
  expect_parts(error_of([] { make_reward("http:localhost", kNeverStops); }),
               {"\"http:localhost\"", "http://HOST:PORT/PATH"});
  expect_parts(error_of([] { make_reward("https://a/b", kNeverStops); }),
               {"\"https://a/b\"", "proxy or a tunnel"});
}

}  // namespace
}  // namespace rsm
