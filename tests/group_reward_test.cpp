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
  EXPECT_FALSE(log.back().contains("rewards"));  // there is one
  for (size_t epoch = 1; epoch < log.size(); ++epoch) {
    EXPECT_NEAR(log[epoch].at("reward").get<double>(), 0.5, 1e-6);
    EXPECT_GT(log[epoch].at("reward_std").get<double>(), 0.1);
    EXPECT_LT(log[epoch].at("metrics").at("jpeg-compressibility"), 0);
  }
}

TEST(GroupReward, ThreadsChangeNoBit) {
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

TEST(SeveralRewards, AreToldOneByOneAndWarnedOf) {
  const TemporaryFolder folder;
  const auto options = read_run_options(
      Config::parse(cat("name: run\nfolder: ", folder / "run", R"(
model: models/shapes-flow
prompts: {per_epoch: 2}
train: {epochs: 1}
method: {name: tempflow-grpo, estimator: {branches: [8, 8, 0, 0]}}
sampling: {steps: 4, guidance_scale: 1}
rewards:
  - name: jpeg-compressibility
  - {name: jpeg-incompressibility, weight: 0.1}
  - {name: "win-rate:colourfulness", weight: 0}
evaluation: {images: 6, steps: 2, every: 2}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
                    "test.yaml"));
  const auto line = run_to_end(options).back();
  const auto& rewards = line.at("rewards");
  const auto& plain = rewards.at("jpeg-compressibility");
  const auto& detail = rewards.at("jpeg-incompressibility");
  const auto& rate = rewards.at("win-rate:colourfulness");
  // One is the opposite of the other, so T = 0.9 c.
  EXPECT_NEAR(plain.at("share").get<double>(), 1 / 0.9, 1e-6);
  EXPECT_NEAR(detail.at("share").get<double>(), -0.1 / 0.9, 1e-6);
  EXPECT_NEAR(detail.at("correlation").get<double>(), -1, 1e-6);
  EXPECT_EQ(plain.at("mean").get<double>(), -detail.at("mean").get<double>());
  EXPECT_EQ(plain.at("groups"), 4);
  EXPECT_EQ(rate.at("share"), 0);
  EXPECT_NEAR(rate.at("mean").get<double>(), 0.5, 1e-6);
  EXPECT_TRUE(rate.at("correlation").is_number());
  const auto said = line.at("warnings").dump();
  expect_parts(said, {"jpeg-incompressibility falls where the trained total"});
  EXPECT_EQ(said.find("win-rate:colourfulness falls"), std::string::npos);
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
