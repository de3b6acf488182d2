// Runs on rewards that compare pictures with each other.

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

class GroupRewardOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(GroupRewardOn);

TEST_P(GroupRewardOn, TrainsOnWinRatesAndResumesInTheSameBytes) {
  const TemporaryFolder folder;
  const auto options = [&](const std::string& name) {
    return quick_run(folder / name,
                     on_device({"reward=win-rate:jpeg-compressibility"}));
  };
  expect_resumes(options("whole"), options("parts"), repeats_its_bits());
  const auto log = read_log(folder / "whole/log.jsonl");
  const double before = log.front().at("eval_reward");
  EXPECT_LT(before, 0);  // minus kilobytes: of pictures alone
  EXPECT_NE(before, log.back().at("eval_reward").get<double>());
  EXPECT_EQ(before, log.front()
                        .at("eval")
                        .at("metrics")
                        .at("jpeg-compressibility")
                        .get<double>());
  for (size_t epoch = 1; epoch < log.size(); ++epoch) {
    EXPECT_NEAR(log[epoch].at("reward").get<double>(), 0.5, 1e-6);
    EXPECT_GT(log[epoch].at("reward_std").get<double>(), 0.1);
    EXPECT_LT(log[epoch].at("metrics").at("jpeg-compressibility"), 0);
  }
}

TEST(GroupReward, ThreadsAndTilesThatHoldAPictureChangeNoBit) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, int64_t threads) {
    const auto options =
        quick_run(folder / name, {"reward=win-rate:jpeg-compressibility",
                                  cat("compute.threads=", threads)});
    run_to_end(options);
    return options.folder;
  };
  expect_same_weights(run("two", 2), run("one", 1));
}

TEST(GroupReward, IsRefusedWhereAMethodJudgesStatesOneByOne) {
  const auto error = error_of([] {
    read_run_options(
        Config::parse("name: run\nmodel: models/shapes-flow\n"
                      "method: {name: dag-db}\n"
                      "prompts: {samples_per_prompt: 4}\n"
                      "reward: win-rate:shapes\n",
                      "test.yaml"));
  });
  expect_parts(error, {"reward", "win-rate:shapes", "sees groups", "alone"});
}

TEST(GroupReward, IsRefusedWhereAMethodFollowsAGradient) {
  const auto error = error_of([] {
    read_run_options(
        Config::parse("name: run\nmodel: models/shapes-flow\n"
                      "method: {name: adjoint-matching}\n"
                      "reward: win-rate:colourfulness\n",
                      "test.yaml"));
  });
  expect_parts(error, {"win-rate:colourfulness", "has no gradient"});
}

}  // namespace
}  // namespace rsm
