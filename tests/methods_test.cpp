// Every method of the catalogue, on the models it is for, with small numbers.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/forecast.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

constexpr const char* kDiffusion = "models/shapes-diffusion";

RunOptions small_run(const std::string& folder, const std::string& model,
                     const std::string& method,
                     const std::vector<std::string>& overrides = {}) {
  const bool listed =
      std::any_of(overrides.begin(), overrides.end(),
                  [](const auto& one) { return one.starts_with("rewards="); });
  return read_run_options(
      Config::parse(cat("name: test\nfolder: ", folder, "\nmodel: ", model,
                        listed ? "" : "\nreward: jpeg-compressibility",
                        "\nmethod: {name: ", method, "}\n",
                        R"(prompts: {per_epoch: 2, samples_per_prompt: 2}
sampling: {steps: 10, guidance_scale: 1, size: 16}
train:
  epochs: 1
  weights: full
  lr: 0.0001
evaluation: {images: 6, steps: 2}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
                    "test.yaml", overrides));
}

/** Runs on each device, by a small_run of their own. */
class MethodsOn : public OnDevice {
 protected:
  RunOptions small_run(const std::string& folder, const std::string& model,
                       const std::string& method,
                       const std::vector<std::string>& overrides = {}) const {
    return rsm::small_run(folder, model, method, on_device(overrides));
  }
};
RSM_ON_EVERY_DEVICE(MethodsOn);

struct Home {
  Family family;
  std::string model;
};

TEST_P(MethodsOn, EveryEntryTrainsOnEveryModelItIsFor) {
  const TemporaryFolder folder;
  for (const auto& [family, model] : {Home{Family::flow, "models/shapes-flow"},
                                      Home{Family::diffusion, kDiffusion}}) {
    for (const auto& method : catalogue()) {
      // What needs gradients, FirstOrderOn trains.
      if (!method.is_for(family) || method.estimator.needs_gradients()) {
        continue;
      }
      SCOPED_TRACE(cat(method.name, " on ", model));
      std::vector<std::string> overrides;
      using Source = EstimatorKnobs::Source;
      const auto source = method.estimator.source;
      if (source == Source::pictures) overrides = {"sampling.steps=4"};
      if (source == Source::branches || source == Source::tree) {
        // A root has many pictures.
        overrides = {"prompts={per_epoch: 1, samples_per_prompt: 1}"};
      }
      if (method.regularisation.gate.is_on()) {
        overrides.emplace_back(
            "rewards=[{name: jpeg-compressibility}, "
            "{name: colourfulness, weight: 0}]");
      }
      if (method.estimator.has_surrogate()) {
        overrides.emplace_back("method.estimator.surrogate.updates=1");
      }
      const auto options = small_run(folder / (to_string(family) + method.name),
                                     model, method.name, overrides);
      expect_as_forecast(run_to_end(options).back(), options);
    }
  }
}

/** The releases' own choices of knobs, where they have some. */
TEST_P(MethodsOn, ReleasesTrainToo) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> samples = {
      {"branch-grpo", "1"}, {"pcpo-uw-sigma", "2"}, {"rsm-diffusion", "5"}};
  for (const auto& [name, count] : samples) {
    const auto log = run_to_end(small_run(
        folder / name, kDiffusion, name,
        {"method.as_published=true", "sampling.steps=8", "prompts.per_epoch=1",
         "prompts.samples_per_prompt=" + count}));
    EXPECT_GT(log.back().at("grad_norm").get<double>(), 0) << name;
    EXPECT_TRUE(std::isfinite(log.back().at("loss").get<double>())) << name;
  }
}

TEST_P(MethodsOn, TreesTakeOdeStepsAndTheirWindowSlides) {
  const TemporaryFolder folder;
  const auto log = run_to_end(
      small_run(folder / "tree", "models/shapes-flow", "branch-grpo",
                {"sampling.steps=6", "train.epochs=3",
                 "method.estimator.tree={split_steps: [0], sde_steps: [2, 3], "
                 "skip_steps: [3], slide_every: 1, slide_stop: 2}"}));
  std::vector<std::string> trained;  // steps with rows, epoch by epoch
  for (const auto& line : log) {
    if (!line.contains("by_step")) continue;
    trained.emplace_back();
    for (const auto& rows : line["by_step"]["rows"]) {
      trained.back() += rows.get<int64_t>() > 0 ? 'x' : '.';
    }
  }
  EXPECT_EQ(trained, (std::vector<std::string>{"x.x..", "x..x.", "x..x."}));
}

TEST_P(MethodsOn, LorasAndHalfPrecisionRolloutsDoOnDiffusionToo) {
  const TemporaryFolder folder;
  // Few pictures: a CPU may have no products of half precision.
  const std::vector<std::pair<std::string, std::string>> runs = {
      {"ddpo", "{per_epoch: 2, samples_per_prompt: 2}"},
      {"rsm-diffusion", "{per_epoch: 1, samples_per_prompt: 1}"}};
  for (const auto& [name, prompts] : runs) {
    const auto log = run_to_end(
        small_run(folder / name, kDiffusion, name,
                  {"train.weights=lora", "compute.rollout_type=bfloat16",
                   "train.lora={rank: 2, alpha: 4}", "prompts=" + prompts}));
    EXPECT_GT(log.back().at("rollout_gap").get<double>(), 0) << name;
    EXPECT_GT(log.back().at("grad_norm").get<double>(), 0) << name;
  }
}

/** A network of the other family, a sampler it does not have. */
TEST(Methods, WhatAModelCannotDoIsRefused) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] {
                 small_run(folder / "a", "models/shapes-flow", "rsm-diffusion");
               }),
               {"method.name", "rsm-diffusion", "diffusion", "flow"});
  expect_parts(error_of([&] {
                 small_run(folder / "b", kDiffusion, "grpo",
                           {"sampling.sampler=cps"});
               }),
               {"sampling.sampler"});
  expect_parts(error_of([&] {
                 small_run(folder / "c", kDiffusion, "grpo",
                           {"sampling.noise_level=2"});
               }),
               {"--set sampling.noise_level", "eta is 2"});
}

TEST(Methods, OneSampleIsEnoughBesideAPromptsPast) {
  const TemporaryFolder folder;
  const std::vector<std::string> one = {"prompts.samples_per_prompt=1"};
  small_run(folder / "a", kDiffusion, "ddpo", one);
  expect_parts(
      error_of([&] { small_run(folder / "b", kDiffusion, "grpo", one); }),
      {"samples_per_prompt", "at least 2"});
}

/** What an estimator learns is part of a checkpoint: a run that stopped after
 * every epoch ends as one that did not. */
TEST_P(MethodsOn, WhatEstimatorsLearnSurvivesResuming) {
  struct Learns {
    std::string method, tensor;
    std::vector<std::string> settings;
  };
  const std::vector<std::string> every = {
      "train.epochs=3", "prompts.train=shapes:held_out", "prompts.per_epoch=3",
      "sampling.steps=3"};
  for (const auto& [method, tensor, own] :
       {Learns{"ddpo", "value.rewards", {"method.estimator.buffer_least=2"}},
        Learns{"dag-db",
               "adamw.out.weight.exp_avg",
               {"method.estimator.flow.ramp=2"}},
        Learns{"dag-kl", "network.out.weight", {"train.weights=lora"}},
        Learns{"grpo",
               "surrogate.fit",
               {"method.estimator.surrogate={at: network, channels: [8, 8], "
                "updates: 3}"}}}) {
    SCOPED_TRACE(method);
    const TemporaryFolder folder;
    auto settings = every;
    settings.insert(settings.end(), own.begin(), own.end());
    run_to_end(small_run(folder / "whole", kDiffusion, method, settings));
    const auto options =
        small_run(folder / "parts", kDiffusion, method, settings);
    NoProgress silent;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      Finetune run(options, silent);
      run.run_epoch();
      run.save();
    }
    const auto whole = latest_checkpoint(folder / "whole");
    const auto parts = latest_checkpoint(folder / "parts");
    ASSERT_TRUE(whole && parts);
    EXPECT_TRUE(whole->tensors.contains("estimator." + tensor));
    EXPECT_EQ(whole->tensors.size(), parts->tensors.size());
    if (!repeats_its_bits()) continue;
    for (const auto& [name, value] : whole->tensors) {
      // NaN is where a prompt's buffer is not full.
      EXPECT_TRUE(at::allclose(value, parts->tensors.at(name), 0, 0, true))
          << name;
    }
  }
}

/** The reward of pictures on the way comes in with the epochs, and the flow
 * learns what it did not know: of the very pictures that one sees which learns
 * nothing, as the policy stays. */
TEST_P(MethodsOn, AFlowLearnsItsBalance) {
  const TemporaryFolder folder;
  const auto late_loss = [&](const std::string& lr) {
    const auto log = run_to_end(small_run(
        folder / ("run" + lr), kDiffusion, "dag-kl",
        {"train.epochs=6", "train.lr=0", "sampling.guidance_scale=2",
         "sampling.steps=4", "method.estimator.flow.ramp=0",
         "method.estimator.flow.reward_scale=1",
         "method.estimator.flow.updates=4", "method.estimator.flow.lr=" + lr}));
    EXPECT_EQ(log.back().at("flow_reward_scale"), 1);
    return log.at(5).at("flow_loss").get<double>() +
           log.at(6).at("flow_loss").get<double>();
  };
  EXPECT_LT(late_loss("0.003"), 0.7 * late_loss("1e-9"));
}

}  // namespace
}  // namespace rsm
