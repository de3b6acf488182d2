// Runs whose reference pulls at some samples, and moves.

#include <gtest/gtest.h>

#include "rsm/base/testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/forecast.h"
#include "rsm/runs/memory_forecast.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

/** Of seconds. What is told suspicious by: colours. */
RunOptions held_run(const std::string& folder, const std::string& method,
                    const std::vector<std::string>& overrides) {
  return read_run_options(Config::parse(
      cat("name: test\nfolder: ", folder,
          "\nmodel: models/shapes-flow\nmethod: {name: ", method, "}\n",
          R"(rewards:
  - name: jpeg-compressibility
  - {name: colourfulness, weight: 0}
prompts: {per_epoch: 2, samples_per_prompt: 4}
sampling: {steps: 4, guidance_scale: 1, size: 16}
train: {epochs: 3, lr: 0.001, updates_per_epoch: 2, ema_decay: 0}
evaluation: {images: 6, steps: 3, every: 3}
checkpoint: {every: 1}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", overrides));
}

std::string reset(const std::string& knobs) {
  return "method.regularisation.reset_reference=" + knobs;
}

const std::vector<std::string> kFull = {"train.weights=full"};
const std::vector<std::string> kLora = {"train.lora={rank: 2, alpha: 4}"};

std::vector<std::string> with(std::vector<std::string> some,
                              const std::string& more) {
  some.push_back(more);
  return some;
}

class ReferenceOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(ReferenceOn);

/** The model before training stays the one that drift is told from. */
TEST(Reference, IsResetWhereThePolicyIsFarFromIt) {
  for (const auto& weights : {kFull, kLora}) {
    const TemporaryFolder folder;
    const auto log = run_to_end(
        held_run(folder / "run", "gardo", with(weights, reset("{kl: 1e-12}"))));
    ASSERT_EQ(log.size(), 4u);
    const auto number = [&](int64_t epoch, const char* name) {
      return log[epoch].at(name).get<double>();
    };
    // Not before anything moved, then after the second epoch, and then the
    // policy has not moved from it yet.
    EXPECT_LT(number(1, "reference_kl"), 1e-12);
    EXPECT_EQ(number(1, "reference_resets"), 0);
    EXPECT_GT(number(2, "reference_kl"), 1e-12);
    EXPECT_EQ(number(2, "reference_resets"), 1);
    EXPECT_EQ(number(2, "reference_epoch"), 2);
    EXPECT_LT(number(3, "reference_kl"), 1e-12);
    EXPECT_EQ(number(3, "reference_resets"), 1);
    EXPECT_GT(number(3, "kl"), 1e-12);
    EXPECT_GT(log[3].at("eval").at("kl").get<double>(), 0);
    EXPECT_TRUE(log[2].contains("gate_share"));
  }
}

TEST(Reference, IsResetAfterSoManyEpochs) {
  const TemporaryFolder folder;
  const auto log = run_to_end(
      held_run(folder / "run", "gardo", with(kLora, reset("{every: 2}"))));
  std::vector<int64_t> epochs;
  for (size_t i = 1; i < log.size(); ++i) {
    epochs.push_back(log[i].at("reference_epoch").get<int64_t>());
  }
  EXPECT_EQ(epochs, (std::vector<int64_t>{0, 2, 2}));
}

TEST_P(ReferenceOn, ResetsAndGatesResume) {
  for (const auto& weights : {kFull, kLora}) {
    const TemporaryFolder folder;
    const auto options = [&](const std::string& name) {
      return held_run(folder / name, "gardo",
                      on_device(with(weights, reset("{every: 2}"))));
    };
    const auto saved =
        expect_resumes(options("whole"), options("parts"), repeats_its_bits());
    EXPECT_TRUE(saved.tensors.contains("estimator.gate"));
    EXPECT_EQ(saved.resets.count, 1);
    EXPECT_EQ(saved.resets.epoch, 2);
    int64_t kept = 0;
    for (const auto& [name, tensor] : saved.tensors) {
      kept += name.starts_with("reference.") ? 1 : 0;
    }
    EXPECT_GT(kept, 0);
  }
}

TEST_P(ReferenceOn, PairsResume) {
  const TemporaryFolder folder;
  const auto options = [&](const std::string& name) {
    return held_run(folder / name, "fdfo",
                    on_device(with(kLora, "prompts.samples_per_prompt=2")));
  };
  const auto saved =
      expect_resumes(options("whole"), options("parts"), repeats_its_bits());
  EXPECT_EQ(saved.resets.count, 0);
  const auto line = read_log(folder / "whole/log.jsonl").back();
  EXPECT_EQ(line.at("rows"), 4 * 2 * 4);
  EXPECT_EQ(line.at("groups"), 4);
  EXPECT_EQ(line.at("by_step").at("rows").size(), 4u);
}

TEST(Reference, CostsACopyAndItsOutputs) {
  const TemporaryFolder folder;
  const auto options = [&](const std::string& knobs) {
    return held_run(folder / "run", "gardo", with(kFull, reset(knobs)));
  };
  const auto still = options("{kl: 0, every: 0}"),
             moves = options("{every: 2}");
  EXPECT_EQ(forecast(moves).evaluations.reference,
            2 * forecast(still).evaluations.reference);
  EXPECT_GT(MemoryCount(moves).of(moves).peak(),
            MemoryCount(still).of(still).peak());
}

TEST(Reference, AGateNeedsARewardThatTrainsNothing) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] {
                 held_run(folder / "run", "gardo",
                          {"rewards=[{name: jpeg-compressibility}]"});
               }),
               {"rewards", "gate", "weight: 0"});
}

}  // namespace
}  // namespace rsm
