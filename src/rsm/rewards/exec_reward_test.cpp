#include "rsm/rewards/exec_reward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "rsm/rewards/metadata_testing.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

/** What the tests' programs share: the framing, and an honest judgement. */
constexpr const char* kJudge = R"(
import json, os, pathlib, signal, sys, time

here = pathlib.Path(__file__).parent

def say(message):
    print(json.dumps(message), flush=True)

def first(name):
    """Whether this is the first time that any process asks for `name`."""
    try:
        (here / name).touch(exist_ok=False)
        return True
    except FileExistsError:
        return False

def requests():
    say({"ready": True, "name": "test"})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        size = request["height"] * request["width"] * request["channels"]
        images = [sys.stdin.buffer.read(size) for _ in range(request["count"])]
        yield request, images

def scores(request, images):
    return [test_score(*each) for each in zip(images, request["prompts"])]

def answer(request, images, **more):
    say({"id": request["id"], "scores": scores(request, images), **more})
)";

/** A judge whose main part is `text`, run in a folder of its own. */
class Judge {
 public:
  explicit Judge(const std::string& text) {
    options_.command = python_program(folder_, "main.py",
                                      std::string(kTestScore) + kJudge + text);
  }

  ExecOptions& options() { return options_; }
  std::unique_ptr<Reward> make(const Progress& progress = kNeverStops) const {
    return make_exec_reward(options_, progress);
  }

  /** The error of judging three pictures. */
  std::string error() const { return score_error(*make()); }

  /** In its folder: itself, and what it has left there. */
  int64_t files() const { return folder_.entries(); }
  std::string read(const std::string& file) const {
    return read_file(folder_ / file);
  }

 private:
  TemporaryFolder folder_;
  ExecOptions options_;
};

torch::Tensor expected_of_program(const TestPictures& pictures) {
  return expected_scores(pictures, [&](int64_t i) {
    const auto picture = pictures.bytes[i].contiguous();
    const auto* begin = picture.const_data_ptr<uint8_t>();
    return std::vector<uint8_t>(begin, begin + picture.numel());
  });
}

void expect_right_program(const Reward& reward, const TestPictures& pictures) {
  EXPECT_TRUE(torch::equal(score(reward, pictures).value,
                           expected_of_program(pictures)));
}

TEST(ExecReward, GivesTheProgramsScores) {
  Judge judge(R"(
for request, images in requests():
    count = request["count"]
    answer(request, images, metrics={"count": [count] * count,
                                     "process": [os.getpid()] * count})
)");
  judge.options().batch = 4;
  const auto reward = judge.make();
  EXPECT_EQ(reward->name(), "exec:" + judge.options().command);
  const auto pictures = test_pictures(10, 5, 7);
  const auto scores = score(*reward, pictures);
  EXPECT_TRUE(torch::equal(scores.value, expected_of_program(pictures)));
  EXPECT_TRUE(torch::equal(
      scores.metrics.at("count"),
      torch::tensor({4.f, 4.f, 4.f, 4.f, 4.f, 4.f, 4.f, 4.f, 2.f, 2.f})));
  // It is started once, for all sizes of pictures.
  const auto larger = test_pictures(3, 64, 65);
  const auto next = reward->score(larger.images, larger.prompts);
  EXPECT_TRUE(torch::equal(next.value, expected_of_program(larger)));
  EXPECT_EQ(next.metrics.at("process")[0].item<float>(),
            scores.metrics.at("process")[9].item<float>());
  EXPECT_EQ(reward->score(pictures.images.slice(0, 0, 0), {}).value.numel(), 0);
}

TEST(ExecReward, IsToldAllThatFilesOfPromptsSay) {
  std::unique_ptr<Judge> judge;
  expect_metadata_arrives([&](const std::string& beginning) {
    judge = std::make_unique<Judge>(beginning + R"(
for request, images in requests():
    say({"id": request["id"], "scores": same_metadata(request)})
)");
    judge->options().batch = 3;
    return judge->make();
  });
}

TEST(ExecReward, IsToldNothingElseOfPromptsWithoutMetadata) {
  const Judge judge(R"(
say({"ready": True})
line = sys.stdin.buffer.readline()
(here / "line").write_bytes(line)
sys.stdin.buffer.read(2 * 4 * 3 * 3)
say({"id": 1, "scores": [0, 0]})
)");
  judge.make()->score(torch::zeros({2, 3, 4, 3}),
                      {{0, "a \"red\" Äpfel", "x"}, {1, "b", ""}});
  EXPECT_EQ(judge.read("line"),
            R"({"channels":3,"count":2,"height":4,"id":1,)"
            R"("prompts":["a \"red\" Äpfel","b"],"width":3})"
            "\n");
}

TEST(ExecReward, DoesNotDependOnTheBatch) {
  Judge judge("for each in requests(): answer(*each)");
  judge.options().batch = 3;
  expect_each_picture_alone(*judge.make(), test_pictures(10, 4, 6));
}

TEST(ExecReward, WaitsForASlowOne) {
  const Judge judge(R"(
time.sleep(0.3)
for each in requests():
    time.sleep(0.3)
    answer(*each)
)");
  const auto reward = judge.make();
  reward->check();
  expect_right_program(*reward, test_pictures(3, 4, 4));
}

TEST(ExecReward, OneThatHungOrDiedOnceIsStartedAgain) {
  Judge judge(R"(
for request, images in requests():
    if len(images) == 2 and first("hung"):
        time.sleep(1000)
    if len(images) == 1 and first("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    answer(request, images)
)");
  judge.options().timeout_seconds = 1.5;
  judge.options().batch = 2;
  const auto reward = judge.make();
  const auto pictures = test_pictures(3, 4, 4);
  const auto scores = score(*reward, pictures);
  EXPECT_TRUE(torch::equal(scores.value, expected_of_program(pictures)));
  const std::map<std::string, int64_t> mended = {
      {reward->name() +
           " did not answer within timeout_seconds = 1.5 and was started again",
       1},
      {reward->name() +
           " was killed by signal 9 (Killed) and was started again",
       1}};
  EXPECT_EQ(scores.mended, mended);
  EXPECT_TRUE(reward->score(pictures.images, pictures.prompts).mended.empty());
}

TEST(ExecReward, OneThatDiedBetweenRequestsIsStartedAgain) {
  const Judge judge(R"(
for request, images in requests():
    answer(request, images)
    if first("died"):
        sys.exit(3)
)");
  const auto reward = judge.make();
  const auto pictures = test_pictures(3, 4, 4);
  expect_right_program(*reward, pictures);
  const auto again = score(*reward, pictures);
  EXPECT_TRUE(torch::equal(again.value, expected_of_program(pictures)));
  ASSERT_EQ(again.mended.size(), 1u);
  expect_parts(again.mended.begin()->first, {"exit status 3"});
}

TEST(ExecReward, OneThatKeepsItsLinesIsToldToFlush) {
  Judge silent(R"(
sys.stdout = open(1, "w")  # has a buffer, whatever Python is told
print('{"ready": true}')
time.sleep(1000)
)");
  silent.options().start_seconds = 0.5;
  const auto reward = silent.make();
  expect_parts(error_of([&] { reward->check(); }),
               {"not ready within 0.5 s", "flush", "flush=True"});
}

/** Programs that get ready and never answer, and what is told of it. */
const std::vector<std::pair<const char*, const char*>> kEndless = {
    {"say({'ready': True}); time.sleep(1000)", "0 restarts"},
    {"for each in requests(): time.sleep(1000)", "mend the reward"},
    {R"(
for each in requests():
    print('{"id": 1, "sco', end="", flush=True)
    time.sleep(1000)
)",
     "having printed \"{\"id\": 1, \"sco\" without a line end"},
    {R"(
for each in requests():
    while True:
        print("[", end="", flush=True)
        time.sleep(0.05)
)",
     "[[[["}};

TEST(ExecReward, OneThatHangsIsToldByItsTimeOutHoweverItDrips) {
  // More than a pipe holds.
  const auto pictures = test_pictures(3, 300, 300);
  for (const auto& [text, told] : kEndless) {
    SCOPED_TRACE(text);
    Judge judge(text);
    judge.options().timeout_seconds = 0.5;
    judge.options().retries = 0;
    expect_parts(
        score_error(*judge.make(), pictures),
        {"timeout_seconds = 0.5", "images 0 to 2", "flush=True", told});
  }
}

TEST(ExecReward, HearsOfAStopWhereverItWaits) {
  auto programs = kEndless;
  programs.emplace_back("time.sleep(1000)", "");
  const auto pictures = test_pictures(3, 300, 300);
  for (const auto& [text, told] : programs) {
    SCOPED_TRACE(text);
    Judge judge(cat("(here / str(os.getpid())).touch()\n", text));
    judge.options().timeout_seconds = 1000;
    judge.options().start_seconds = 1000;
    const StopsAt soon(5);
    // The other threads, which wait for the first, start it no more.
    EXPECT_THROW(score_at_once(*judge.make(soon), pictures), Interrupted);
    EXPECT_EQ(judge.files(), 2);  // main.py, and one of its only process
  }
}

TEST(ExecReward, DeathAmidALargeRequestIsNoDeathOfOurs) {
  Judge judge(R"(
if first("died"):
    say({"ready": True})
    sys.stdin.buffer.read(1000)
    os.close(0)  # so that writing fails before its end shows
    time.sleep(0.2)
    sys.exit(1)
for each in requests(): answer(*each)
)");
  expect_right_program(*judge.make(), test_pictures(3, 200, 200));
}

TEST(ExecReward, OneThatDiesAlwaysIsToldBySignal) {
  Judge judge(R"(
for request, images in requests():
    print("cannot bear this picture", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
)");
  judge.options().batch = 2;
  expect_parts(judge.error(),
               {"was killed by signal 9 (Killed)", "images 0 to 1",
                "after 1 restart;", "stderr", "  cannot bear this picture"});
}

TEST(ExecReward, RestartsAreBounded) {
  Judge judge(R"(
for request, images in requests():
    if first(request["prompts"][0][-1]):
        sys.exit(5)
    answer(request, images)
)");
  judge.options().batch = 1;
  judge.options().retries = 2;
  expect_parts(judge.error(), {"exit status 5", "image 2", "after 2 restarts"});
}

TEST(ExecReward, WrongAnswersAreNamedAndNotAskedForAgain) {
  const auto error = [](const std::string& body) {
    return Judge(
               "for request, images in requests():\n"
               "    if not first('asked'): sys.exit('asked again')\n"
               "    id = request['id']\n"
               "    " +
               body)
        .error();
  };
  expect_parts(error("print('Loading...', flush=True)"),
               {"\"Loading...\"", "no JSON"});
  expect_parts(error("say({'id': id + 1, 'scores': [1, 2, 3]})"),
               {"id 2", "request's is 1"});
  expect_parts(error("say([1, 2, 3])"), {"id null"});
  expect_parts(error("say({'id': '1', 'scores': [1, 2, 3]})"),
               {"id \"1\"", "request's is 1"});
  expect_parts(error("say({'id': id, 'error': 'no such prompt'})"),
               {"no such prompt", "images 0 to 2"});
}

TEST(ExecReward, AfterAWrongAnswerItIsStartedAnew) {
  const Judge judge(R"(
for request, images in requests():
    if first("asked"):
        print("a line too many\n", flush=True)
    else:
        answer(request, images)
)");
  const auto reward = judge.make();
  score_error(*reward);
  expect_right_program(*reward, test_pictures(3, 4, 4));
}

TEST(ExecReward, AnswersBeforeReadingAreRefusedButErrorsAreHeard) {
  const auto error = [](const std::string& what) {
    const Judge judge(
        "say({'ready': True})\n"
        "sys.stdin.buffer.readline()\n"
        "say({'id': 1, " +
        what +
        "})\n"
        "time.sleep(1000)");
    // More than a pipe holds.
    return score_error(*judge.make(), test_pictures(3, 300, 300));
  };
  expect_parts(error("'error': 'too large'"), {"too large", "images 0 to 2"});
  expect_parts(error("'scores': [1, 2, 3]"), {"before it had read", "bytes"});
}

TEST(ExecReward, OneThatDoesNotGetReadyIsNamed) {
  const auto error = [](const std::string& text, double seconds = 120) {
    Judge judge(text);
    judge.options().start_seconds = seconds;
    const auto reward = judge.make();
    return error_of([&] { reward->check(); });
  };
  expect_parts(error("print('no weights', file=sys.stderr); sys.exit(3)"),
               {"exit status 3", "before it was ready", "  no weights"});
  expect_parts(error("time.sleep(1000)", 0.5), {"not ready within 0.5 s"});
  expect_parts(error("print('Hello!', flush=True)"),
               {"\"Hello!\"", "\"ready\": true"});
  expect_parts(error("say({'ready': False})"), {"\"ready\": true"});
  expect_parts(error("print('[' * 100000 + ']' * 100000, flush=True)"),
               {"began with \"[[[", "\"ready\": true"});
  const auto missing = make_reward("exec:no-such-program", kNeverStops);
  expect_parts(
      error_of([&] { missing->check(); }),
      {"[reward exec:no-such-program]", "exit status 127", "not found"});
}

TEST(ExecReward, PicturesThatAreNoneAreRefused) {
  const auto reward = make_reward("exec:no-such-program", kNeverStops);
  const auto pictures = test_pictures(2, 4, 4);
  expect_parts(error_of([&] { reward->score(pictures.images, {}); }),
               {"2 images", "0 prompts"});
  expect_parts(
      error_of([&] { reward->score(pictures.images * NAN, pictures.prompts); }),
      {"[reward exec:no-such-program]", "image 0"});
}

TEST(ExecReward, TheExampleOfTheDocsRuns) {
  const auto reward =
      make_rewards({{.name = std::string("exec:python3 '") + RSM_SOURCE_DIR +
                             "/docs/examples/exec_reward.py'"}},
                   kNeverStops);
  auto pictures = test_pictures(5, 8, 6);
  pictures.images[1].fill_(0.2f);
  reward->check();
  const auto scores = score(*reward, pictures);
  // Float32 means of 144 numbers on our side.
  EXPECT_TRUE(
      torch::allclose(scores.value, pictures.images.mean({1, 2, 3}), 1e-5));
  EXPECT_TRUE(torch::equal(scores.metrics.at("dark"),
                           (scores.value < 0.5).to(torch::kFloat32)));
}

}  // namespace
}  // namespace rsm
