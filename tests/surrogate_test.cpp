// A learnt scorer beside a black box, on the shipped models.

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/runs/forecast.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

RunOptions scored_run(const std::string& folder, const std::string& model,
                      const std::string& method,
                      const std::vector<std::string>& overrides) {
  return read_run_options(Config::parse(
      cat("name: test\nfolder: ", folder, "\nmodel: models/", model,
          "\nreward: jpeg-compressibility\nmethod: {name: ", method, "}\n",
          R"(prompts: {per_epoch: 2, samples_per_prompt: 2}
sampling: {steps: 4, guidance_scale: 1, size: 16}
train:
  epochs: 3
  weights: full
  lr: 0.0001
  ema_decay: 0
evaluation: {images: 6, steps: 2, every: 100}
checkpoint: {every: 100}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", overrides));
}

constexpr const char* kBranches = "method.estimator.branches=[3, 2, 0, 0]";

std::vector<std::string> with_scorer(const std::string& at) {
  return {kBranches, "method.estimator.surrogate={at: " + at +
                         ", channels: [8, 8], updates: 4}"};
}

class SurrogateOn : public OnDevice {
 protected:
  RunOptions options(const std::string& folder, const std::string& at,
                     std::vector<std::string> more = {}) const {
    auto overrides = with_scorer(at);
    overrides.insert(overrides.end(), more.begin(), more.end());
    return scored_run(folder, "shapes-flow", "rsm-surrogate",
                      on_device(overrides));
  }
};
RSM_ON_EVERY_DEVICE(SurrogateOn);

TEST_P(SurrogateOn, LogsWhatItForetells) {
  const TemporaryFolder folder;
  for (const std::string at : {"picture", "network"}) {
    const auto run = options(folder / at, at,
                             {"train.epochs=2", "sampling.guidance_scale=2"});
    const auto log = run_to_end(run);
    for (size_t epoch = 1; epoch < log.size(); ++epoch) {
      const auto& line = log[epoch];
      EXPECT_TRUE(std::isfinite(line.at("surrogate_loss").get<double>()));
      EXPECT_LE(std::abs(line.at("surrogate_correlation").get<double>()), 1);
      EXPECT_GT(line.at("grad_norm").get<double>(), 0);
      EXPECT_EQ(line.at("evaluations").at("guidance"),
                forecast(run).evaluations.guidance);
      const auto& by_step = line.at("by_step");
      for (const char* key : {"surrogate_coefficient", "surrogate_share"}) {
        ASSERT_EQ(by_step.at(key).size(), by_step.at("step").size());
        EXPECT_GE(std::abs(by_step.at(key)[0].get<double>()), 0);
      }
      const double c = by_step.at("surrogate_coefficient")[0];
      EXPECT_EQ(c == 0, epoch == 1) << c;
    }
  }
}

/** Nothing has been learnt then: not a bit differs. */
TEST_P(SurrogateOn, TrainsAsThePlainMethodInItsFirstEpoch) {
  const TemporaryFolder folder;
  const auto trained = [&](const std::string& at) {
    run_to_end(options(folder / at, at, {"train.epochs=1"}));
    return with_prefix(latest_checkpoint(folder / at)->tensors, "trained.");
  };
  const auto plain = [&] {
    run_to_end(scored_run(folder / "plain", "shapes-flow", "rsm-flow",
                          on_device({kBranches, "train.epochs=1"})));
    return with_prefix(latest_checkpoint(folder / "plain")->tensors,
                       "trained.");
  }();
  if (!repeats_its_bits()) GTEST_SKIP() << "claimed on the CPU alone";
  for (const std::string at : {"picture", "network"}) {
    for (const auto& [name, tensor] : trained(at)) {
      EXPECT_TRUE(tensor.equal(plain.at(name))) << name;
    }
  }
}

TEST_P(SurrogateOn, ResumesInTheSameBytes) {
  const TemporaryFolder folder;
  const auto saved =
      expect_resumes(options(folder / "whole", "picture"),
                     options(folder / "parts", "picture"), repeats_its_bits());
  for (const char* name :
       {"fit", "rewards", "network.out.weight", "adamw.out.weight.exp_avg"}) {
    EXPECT_TRUE(saved.tensors.contains(cat("estimator.surrogate.", name)))
        << name;
  }
}

TEST_P(SurrogateOn, ThreadsChangeNoBit) {
  if (!device().is_cpu()) GTEST_SKIP() << "a GPU takes one call at a time";
  const TemporaryFolder folder;
  for (const std::string at : {"picture", "network"}) {
    const std::string two = "train.epochs=2";
    run_to_end(options(folder / (at + "2"), at, {two}));
    run_to_end(options(folder / (at + "3"), at, {two, "compute.threads=3"}));
    expect_same_weights(folder / (at + "2"), folder / (at + "3"),
                        repeats_its_bits());
  }
}

TEST_P(SurrogateOn, HelpsEveryKindOfRow) {
  const TemporaryFolder folder;
  const std::string scorer =
      "method.estimator.surrogate={at: picture, channels: [8, 8], updates: 2}";
  for (const auto& [method, model] :
       {std::pair<std::string, std::string>{"flow-grpo", "shapes-flow"},
        {"ddpo", "shapes-diffusion"},
        {"branch-grpo", "shapes-flow"}}) {
    SCOPED_TRACE(method);
    auto overrides =
        on_device({scorer, "train.epochs=2", "train.weights=lora"});
    if (method == "branch-grpo") {
      overrides.emplace_back("method.estimator.tree.split_steps=[0, 2]");
    }
    if (method == "ddpo") {
      overrides.emplace_back("method.estimator.buffer_least=2");
    }
    const auto log =
        run_to_end(scored_run(folder / method, model, method, overrides));
    EXPECT_TRUE(std::isfinite(log.back().at("loss").get<double>()));
    EXPECT_GT(log.back().at("grad_norm").get<double>(), 0);
    EXPECT_NE(log.back().at("by_step").at("surrogate_coefficient")[0], 0);
  }
}

TEST(SurrogateRuns, RefuseRowsThatAreChosenByTheirReward) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] {
                 scored_run(folder / "run", "shapes-flow", "branch-grpo",
                            {"method.estimator.surrogate={at: picture}",
                             "method.estimator.tree={split_steps: [0], "
                             "keep_leaves: 0.5}"});
               }),
               {"surrogate.at", "keep_leaves: 1"});
}

}  // namespace
}  // namespace rsm
