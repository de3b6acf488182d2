#include "rsm/runs/run_options.h"

#include <gtest/gtest.h>

#include <sstream>

#include "rsm/io/config_testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/testing.h"

namespace rsm {
namespace {

TEST(RunOptions, DocsNameEveryKey) {
  std::string docs;
  for (const std::string page : {"configs", "methods", "rewards"}) {
    docs += read_file("docs/" + page + ".md");
  }
  std::istringstream lines(
      options_of({"method={name: branch-grpo, estimator: {baseline: running, "
                  "grouping: prompt}}",
                  "prompts.samples_per_prompt=2"})
          .resolved);
  int64_t keys = 0;
  for (std::string line; std::getline(lines, line); ++keys) {
    const auto from = line.find_first_not_of(' ');
    const auto to = line.find(':');
    if (to == std::string::npos || to + 1 == line.size()) continue;  // section
    const std::string key = line.substr(from, to - from);
    const bool named = docs.find('`' + key + '`') != std::string::npos ||
                       docs.find('.' + key + '`') != std::string::npos ||
                       docs.find('`' + key + ": ") != std::string::npos;
    EXPECT_TRUE(named) << key;
  }
  EXPECT_GT(keys, 50);
}

TEST(RunOptions, EveryStepMayHaveANoiseLevelOfItsOwn) {
  const std::vector<std::string> paths = {"method={name: flow-grpo}",
                                          "prompts.samples_per_prompt=2",
                                          "sampling.steps=4"};
  const auto with = [&](const std::string& levels) {
    auto all = paths;
    all.push_back("sampling.noise_level=" + levels);
    return options_of(all);
  };
  const auto options = with("[0.9, 0.7, 0.5]");
  const auto plan = options.plan();
  EXPECT_EQ(plan.noise.level_at(0), 0.9);
  EXPECT_EQ(plan.noise.level_at(2), 0.5);
  EXPECT_NE(options.resolved.find("[0.9, 0.7, 0.5]"), std::string::npos);
  expect_parts(error_of([&] { with("[0.9, 0.7]"); }),
               {"sampling.noise_level", "lists 2", "takes 4"});
  expect_parts(error_of([&] { with("[0.9, 0, 0.5]"); }),
               {"sampling.noise_level"});
}

TEST(RunOptions, MistakesNameFileLineKeyAndTheNearestWord) {
  const auto error = [](const std::vector<std::string>& overrides) {
    return error_of([&] { options_of(overrides); });
  };
  expect_parts(error({"train.lrr=1"}), {"train.lrr", "unknown key", "lr"});
  expect_parts(error({"method.name=rsm-flw"}),
               {"method.name", "rsm-flow", "tempflow-grpo"});
  expect_parts(error({"compute.train_tile=0"}),
               {"compute.train_tile", "0", "1"});
  expect_parts(error({"compute.device=gpu"}), {"compute.device", "cuda"});
  expect_parts(error({"sampling.steps=ten"}), {"sampling.steps", "ten"});
  expect_parts(error({"method.estimator.branches=[1,1]"}), {"branches"});
  expect_parts(error({"train.lora.targets=attn"}),
               {"train.lora.targets", "\"attn\"", "all-linear", "list"});
  expect_parts(error({"train.lora.targets=[all-linear, to_q]"}),
               {"train.lora.targets", "alone"});
  const auto line = error_of([] {
    read_run_options(Config::parse(
        "name: a\nmodel: models/shapes-flow\nsead: 3\n", "my.yaml"));
  });
  expect_parts(line, {"my.yaml:3", "sead", "seed"});
}

TEST(RunOptions, AllLinearIsAWordOfTheTargets) {
  const auto options = options_of(
      {"train.lora.targets=all-linear", "train.lora.exclude=[to_q]"});
  EXPECT_TRUE(options.lora_config.all_linear());
  EXPECT_EQ(options.lora_config.exclude, std::vector<std::string>{"to_q"});
  const auto again =
      read_run_options(Config::parse(options.resolved, "config.yaml"));
  EXPECT_EQ(again.resolved, options.resolved);
  EXPECT_TRUE(again.lora_config.all_linear());
  EXPECT_TRUE(options_of({}).lora_config.all_linear());
}

/** What is refused of a config of this text. */
std::string error_in(const std::string& text,
                     const std::vector<std::string>& overrides = {}) {
  return error_of(
      [&] { read_run_options(Config::parse(text, "my.yaml", overrides)); });
}

TEST(RunOptions, AllMistakesAreToldAtOnceUnknownKeysFirst) {
  const auto error = error_in(
      "model: models/shapes-flow\nsead: 3\nsampling: {steps: ten}\n"
      "train: {lora: {rank: 5000}, epochz: 1}\n");
  size_t at = 0;
  for (const std::string part :
       {"5 problems", "my.yaml:2: sead: unknown key",
        "my.yaml:4: train.epochz: unknown key", "\"epochs\"",
        "my.yaml:3: sampling.steps: got \"ten\"", "[2, 1000]",
        "my.yaml:4: train.lora.rank: got \"5000\"", "[1, 4096]",
        "my.yaml: name: missing"}) {
    at = error.find(part, at);
    ASSERT_NE(at, std::string::npos) << part << " in " << error;
  }
}

TEST(RunOptions, AnUnknownModelOrMethodHidesNoOtherMistakes) {
  const auto error = error_in(
      "name: a\nmodel: none\nmethod:\n  name: pcpo-uw-sigmaa\n  estimator:\n"
      "    tree: {children: 2}\nsampling:\n  sampler: evn\n  even_weight: 3\n"
      "  steps: 6\n  share: non\ntrain: {lr: fast}\n");
  // Nothing is made up, such as a budget that does not fit 6 steps.
  expect_parts(error, {"5 problems", "my.yaml:2: model: ", "none",
                       "my.yaml:4: method.name", "my.yaml:8: sampling.sampler",
                       "my.yaml:11: sampling.share", "my.yaml:12: train.lr"});
}

TEST(RunOptions, PlansThatCannotBeDrawnAreRefusedByFileLineAndKey) {
  const std::string config =
      "name: a\nmodel: models/shapes-flow\nsampling:\n  steps: 20\n";
  const std::string tree = config +
                           "method:\n  name: branch-grpo\n  estimator:\n"
                           "    tree:\n      split_steps: ";
  const std::string key = "my.yaml:9: method.estimator.tree.split_steps: ";
  expect_parts(error_in(tree + "[0, 1, 2]\n      children: 64\n"),
               {key, "4096 leaves"});
  expect_parts(error_in(tree + "[3, 3]\n"), {key, "rise within 0 to 18"});
  // A budget is the mistake of who names it, or else of the steps.
  const std::string budget = "the budget lowsnr2 is for 10 sampler steps";
  expect_parts(error_in(config), {"my.yaml:4: sampling.steps: ", budget});
  expect_parts(error_in(config + "method: {estimator: {profile: lowsnr2}}\n"),
               {"my.yaml:5: method.estimator.profile: ", budget});
  expect_parts(
      error_in(config +
               "method: {estimator: {profile: base, branches: [6]}}\n"),
      {"my.yaml:5: method.estimator.branches: ", "profile", "one of them"});
}

TEST(RunOptions, NumbersAndNamesBeyondReasonAreRefusedByKey) {
  const std::string config = "name: a\nmodel: models/shapes-flow\n";
  for (const std::string set : {"sampling.steps=1000000000",
                                "prompts.per_epoch=1000000000",
                                "prompts.samples_per_prompt=1000000000",
                                "train.lora.rank=1000000000",
                                "evaluation.images=1000000000000",
                                "train.epochs=1000000000000",
                                "sampling.continuation_steps=1000000000",
                                "train.lr=1e300",
                                "train.max_minutes=1e300",
                                "evaluation.every=1000000000000",
                                "checkpoint.every=1000000000000",
                                "compute.threads=1000000000",
                                "train.lora.alpha=1e300",
                                "train.updates_per_epoch=1000000000",
                                "name=",
                                "name=a/b",
                                "name=../x",
                                "name=..",
                                "name=\"a\\nb\"",
                                "folder=\"\"",
                                "label=' '",
                                "prompts.train=''",
                                "evaluation.prompts=''",
                                "train.lora.targets=[]",
                                "reward=shape",
                                "seed=-1",
                                "seed=1e3"}) {
    const auto error = error_in(config, {set});
    expect_parts(error, {"--set " + set.substr(0, set.find('='))});
  }
  expect_parts(error_in(config, {"name=" + std::string(300, 'x')}),
               {"name", "300 bytes"});
  expect_parts(error_in(config, {"method.estimator.branches=[1000000000, 1, 1, "
                                 "1, 1, 1, 1, 1, 1, 0]"}),
               {"branches[0]", "10000"});
  expect_parts(error_in(config, {"prompts.per_epoch=1000000",
                                 "prompts.samples_per_prompt=100000"}),
               {"prompts.per_epoch", "pictures an epoch"});
}

TEST(RunOptions, SlipsOfTheFingersAreToldByWhatIsAllowed) {
  const std::string config = "name: a\nmodel: models/shapes-flow\n";
  expect_parts(error_in(config + "train:\n  ema_warmup: yes\n"),
               {"my.yaml:4: train.ema_warmup", "yes", "true or false"});
  expect_parts(error_in(config + "train:\n  epochs: 010\n"),
               {"my.yaml:4: train.epochs", "010"});
  expect_parts(error_in(config + "train:\n  lr:\n"),
               {"my.yaml:4: train.lr: got nothing"});
  expect_parts(error_in(config + "train:\n  lr: \"3e-4\"\n"),
               {"train.lr: got the text \"3e-4\""});
  expect_parts(error_in(config + "label: [a]\n"), {"label: got a list"});
  expect_parts(error_in(config + "train:\n\tlr: 1\n"), {"my.yaml:4", "tab"});
  expect_parts(error_in(config + "seed: 1\nseed: 2\n"),
               {"my.yaml:4: seed: given twice; first at my.yaml:3"});
  expect_parts(error_in(config + "epochs: 3\n"),
               {"epochs: unknown key", "section train"});
  expect_parts(error_in(config, {"train.lr=[1] {x: y},"}),
               {"--set train.lr", "one"});
}

TEST(RunOptions, ThreadsOnAGpuAndOtherDevicesAreRefused) {
  const std::string config = "name: a\nmodel: models/shapes-flow\n";
  expect_parts(error_in(config, {"compute={device: cuda, threads: 2}"}),
               {"compute.threads", "cuda", "1"});
  for (const std::string device : {"mps", "meta", "cpu:0"}) {
    expect_parts(error_in(config, {"compute.device=" + device}),
                 {"compute.device", device, "cuda:N"});
  }
  // A run of a machine with a GPU is read, to be exported, on one without.
  EXPECT_EQ(options_of({"compute.device=cuda:7"}).device,
            torch::Device(torch::kCUDA, 7));
}

TEST(RunOptions, OnlyLorasTrainInHalfPrecisionAndNoneInFloat16) {
  const auto bf16 = std::string("compute.training_type=bfloat16");
  EXPECT_EQ(options_of({bf16}).policy().training_type, torch::kBFloat16);
  expect_parts(error_of([&] {
                 options_of({bf16, "train.weights=full"});
               }),
               {"compute.training_type", "train.weights", "lora", "float32"});
  expect_parts(error_of([] { options_of({"compute.training_type=float16"}); }),
               {"compute.training_type", "1e-9", "bfloat16"});
}

TEST(RunOptions, ANegativePromptIsKeptAndNeedsGuidance) {
  EXPECT_EQ(options_of({}).negative_prompt, "");
  for (const std::string negative : {"blurry: \"grey\", # low", "", "~"}) {
    const auto options =
        options_of({cat("sampling.negative_prompt='", negative, "'"),
                    "sampling.guidance_scale=4.5"});
    EXPECT_EQ(options.negative_prompt, negative);
    EXPECT_EQ(read_run_options(Config::parse(options.resolved, "resolved"))
                  .negative_prompt,
              negative);
  }
  expect_parts(error_of([] {
                 options_of({"sampling.negative_prompt=blurry",
                             "sampling.guidance_scale=1"});
               }),
               {"sampling.negative_prompt", "\"blurry\"", "no guidance",
                "raise the scale"});
  EXPECT_EQ(options_of({"sampling.guidance_scale=1"}).negative_prompt, "");
  // Evaluations alone are led away from it.
  EXPECT_EQ(
      options_of({"sampling.negative_prompt=blurry",
                  "sampling.guidance_scale=1", "evaluation.guidance_scale=2"})
          .negative_prompt,
      "blurry");
}

TEST(RunOptions, EvaluationsAreGuidedAsSamplingUnlessToldOtherwise) {
  const auto plain = options_of({"sampling.guidance_scale=3"});
  EXPECT_EQ(plain.eval_guidance_scale, 3);
  EXPECT_FALSE(plain.policy().evaluation_guidance_scale);
  const auto own =
      options_of({"sampling.guidance_scale=3", "evaluation.guidance_scale=1"});
  EXPECT_EQ(own.guidance_scale, 3);
  EXPECT_EQ(own.policy().evaluation_guidance_scale, 1);
  const auto again =
      read_run_options(Config::parse(own.resolved, "config.yaml"));
  EXPECT_EQ(again.eval_guidance_scale, 1);
}

TEST(RunOptions, ASamplerThatIsNotThePublishedOneIsAWarning) {
  const auto warnings = [](const std::vector<std::string>& overrides) {
    return read_run_options(
               Config::load("configs/shapes/diffusion-jpeg.yaml", overrides))
        .warnings;
  };
  const std::string method = "method={name: dance-grpo}";
  ASSERT_EQ(warnings({method}).size(), 1u);
  expect_parts(warnings({method})[0], {"dance-grpo", "constant", "usual"});
  EXPECT_TRUE(warnings({method, "sampling.sampler=usual"}).empty());
  EXPECT_TRUE(warnings({}).empty());
}

TEST(RunOptions, WhateverTheConfigMistakesAreErrors) {
  int64_t read = 0, refused = 0;
  for (const std::string name : {"demo", "diffusion-jpeg", "diffusion-rsm"}) {
    const auto text = read_file(cat("configs/shapes/", name, ".yaml"));
    for (uint64_t seed = 0; seed < 1000; ++seed) {
      try {
        read_run_options(Config::parse(mutated(text, seed), "my.yaml"));
        ++read;
      } catch (const UsageError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(read, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace rsm
