#include "rsm/rewards/rewards.h"

#include <gtest/gtest.h>

#include <limits>

#include "rsm/base/error.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

RewardSpec spec(const std::string& name, double weight = 1) {
  RewardSpec out;
  out.name = name;
  out.weight = weight;
  return out;
}

TEST(Rewards, AreMadeByName) {
  for (const auto& name : reward_names()) {
    EXPECT_EQ(make_reward(name, kNeverStops)->name(), name);
    EXPECT_EQ(make_rewards({spec(name)}, kNeverStops)->name(), name);
    EXPECT_EQ(make_rewards({spec(name)}, kNeverStops)->main_metric(),
              make_reward(name, kNeverStops)->main_metric());
  }
  expect_parts(error_of([] { make_reward("shape", kNeverStops); }),
               {"\"shape\"", "did you mean \"shapes\"", "exec:COMMAND",
                "http://HOST:PORT/PATH"});
  expect_parts(
      error_of([] { make_reward("jpeg-compresibility", kNeverStops); }),
      {"did you mean \"jpeg-compressibility\""});
  EXPECT_THROW(make_reward("", kNeverStops), UsageError);
}

TEST(Rewards, OneTakesMoreBehindItsName) {
  const auto made = [](const std::string& name) {
    return make_rewards({spec(name)}, kNeverStops)->name();
  };
  EXPECT_EQ(made("target-colour:ff8000"), "target-colour:ff8000");
  expect_parts(error_of([&] { made("target-colour:"); }),
               {"[reward target-colour]", "\"\"", "RRGGBB"});
  expect_parts(error_of([&] { made("target-color:ff8000"); }),
               {"\"target-color\"", "did you mean \"target-colour\""});
  expect_parts(error_of([&] { made("shapes:3"); }),
               {"\"shapes:3\"", "takes nothing after its name"});
  for (const std::string wrong :
       {"target-colour:", "target-color:ff8000", "shapes:3"}) {
    EXPECT_THROW(made(wrong), UsageError) << wrong;
  }
}

TEST(Rewards, SayBeforeAPictureIsDrawnWhatTheyDoNotJudge) {
  const std::vector<RewardSpec> sum = {spec("colourfulness"),
                                       spec("shapes", 0)};
  for (const auto& specs : {std::vector{spec("shapes")},
                            std::vector{spec("win-rate:shapes-soft")}, sum}) {
    const auto reward = make_rewards(specs, kNeverStops);
    const auto error_for = [&](const std::string& text, int64_t height,
                               int64_t width) {
      return error_of([&] {
        reward->check_inputs({{.text = "a circle"}, {.text = text}}, height,
                             width);
      });
    };
    EXPECT_NO_THROW(reward->check_inputs({{.text = "a circle"}}, 32, 32));
    expect_parts(error_for("a cross", 512, 512), {"512x512", "32x32"});
    expect_parts(error_for("a cross", 32, 16), {"32x16"});
    expect_parts(error_for("a dog", 32, 32), {"\"a dog\""});
  }
}

TEST(Rewards, WatchedMetricsAreAmongTheMetrics) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(make_rewards({spec("shapes")}, kNeverStops)->watched_metrics(),
            Names{"texture"});
  EXPECT_EQ(
      make_rewards({spec("jpeg-compressibility"), spec("shapes")}, kNeverStops)
          ->watched_metrics(),
      Names{"shapes/texture"});
  EXPECT_EQ(make_reward("jpeg-compressibility", kNeverStops)->watched_metrics(),
            Names{});
}

TEST(Rewards, OutsideJudgesAreNamedAsTheyWereAskedFor) {
  // Nothing is started or asked yet.
  for (const std::string name :
       {"exec:no-such-program --fast", "http://127.0.0.1:1/score"}) {
    EXPECT_EQ(make_reward(name, kNeverStops)->name(), name);
    EXPECT_EQ(make_reward(name, kNeverStops)->main_metric(), "reward");
  }
  EXPECT_THROW(make_reward("exec:", kNeverStops), UsageError);
  EXPECT_THROW(make_reward("exec:  ", kNeverStops), UsageError);
}

TEST(Rewards, WrongNumbersAreUsageErrors) {
  const auto error = [](const auto& change) {
    RewardSpec wrong = spec("shapes");
    change(wrong);
    EXPECT_THROW(make_rewards({wrong}, kNeverStops), UsageError);
    return error_of([&] { make_rewards({wrong}, kNeverStops); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_parts(error([&](auto& s) { s.weight = nan; }),
               {"[reward shapes]", "weight is nan"});
  expect_parts(error([](auto& s) { s.timeout_seconds = 0; }),
               {"timeout_seconds is 0"});
  expect_parts(error([](auto& s) { s.batch = 0; }), {"batch is 0"});
  expect_parts(error([](auto& s) { s.retries = -1; }), {"retries is -1"});
  expect_parts(error([](auto& s) { s.requests = 0; }),
               {"requests is 0", "1 to 1024"});
  expect_parts(error([](auto& s) {
                 s.name = "exec:judge";
                 s.requests = 2;
               }),
               {"requests is 2", "allowed: 1", "one request after the other"});
  expect_parts(error([](auto& s) { s.weight = 0; }), {"1 rewards", "trains"});
}

TEST(Rewards, ListsThatTrainNothingOrRepeatAreUsageErrors) {
  EXPECT_THROW(make_rewards({}, kNeverStops), UsageError);
  EXPECT_THROW(
      make_rewards({spec("shapes", 0), spec("jpeg-compressibility", 0)},
                   kNeverStops),
      UsageError);
  expect_parts(error_of([] {
                 make_rewards({spec("shapes"), spec("shapes", 2)}, kNeverStops);
               }),
               {"\"shapes\" stands twice"});
}

}  // namespace
}  // namespace rsm
