// Whole runs on the shipped model, with small numbers.

#include "rsm/train/finetune.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "finetune_testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/forecast.h"
#include "rsm/runs/run_folder.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

RSM_ON_EVERY_DEVICE(FinetuneOn);

TEST_P(FinetuneOn, LogsEveryEpochAndLeavesAWholeRunFolder) {
  const TemporaryFolder folder;
  const auto log = run_to_end(options_of(folder / "run"));
  ASSERT_EQ(log.size(), 4u);
  for (size_t i = 0; i < log.size(); ++i) {
    EXPECT_EQ(log[i].at("epoch"), i);
  }
  for (const char* key : {"wall_s", "images", "evals", "reward", "reward_std",
                          "dead_groups", "clip_fraction", "kl"}) {
    EXPECT_TRUE(log[1].contains(key)) << key;
  }
  EXPECT_TRUE(log[0].contains("eval_reward"));
  EXPECT_FALSE(log[1].contains("eval_reward"));
  EXPECT_TRUE(log[2].contains("eval_reward"));
  EXPECT_TRUE(log[3].contains("eval_reward"));
  // 3 prompts, 8 branches each.
  EXPECT_EQ(log[3].at("images"), 3 * 3 * 8);
  for (const char* name : {"config.yaml", "run.json", "samples/before.png",
                           "samples/after.png", "final/adapter_config.json",
                           "final/pytorch_lora_weights.safetensors"}) {
    EXPECT_TRUE(fs::exists(folder / "run" + "/" + name)) << name;
  }
  EXPECT_EQ(options_of(folder / "run").resolved,
            read_file(folder / "run" + "/config.yaml"));
  EXPECT_EQ(read_json(folder / "run" + "/run.json").at("config_sha256"),
            file_checksum(folder / "run" + "/config.yaml"));
}

TEST_P(FinetuneOn, AveragesAsOftenAndAsFastAsTheConfigSays) {
  const TemporaryFolder folder;
  NoProgress silent;
  Finetune run(options_of(folder / "run",
                          {"train.updates_per_epoch=2", "train.ema_every=2",
                           "train.ema_warmup=true", "train.ema_decay=0.9"}),
               silent);
  const auto saved = [&] {
    run.save();
    return latest_checkpoint(folder / "run").value().tensors;
  };
  const auto before = saved();
  run.run_epoch();
  const auto after = saved();
  const std::string kind = "average.";
  int64_t moved = 0;
  for (const auto& [name, average] : after) {
    if (!name.starts_with(kind)) continue;
    const auto& trained = after.at("trained." + name.substr(kind.size()));
    // Once, after the second update, where warm-up holds the decay at 3/12.
    const auto expected = at::lerp(before.at(name), trained, 1 - 3.0 / 12);
    EXPECT_TRUE(at::allclose(average, expected, 1e-6, 1e-9)) << name;
    moved += average.equal(before.at(name)) ? 0 : 1;
  }
  EXPECT_GT(moved, 0);
}

TEST(Finetune, IsNotFinishedOnceItIsLengthened) {
  const TemporaryFolder folder;
  const auto options = options_of(folder / "run", {"train.epochs=1"});
  run_to_end(options);
  EXPECT_TRUE(is_finished(options));
  const auto longer = options_of(folder / "run", {"train.epochs=3"});
  EXPECT_FALSE(is_finished(longer));
  {
    NoProgress silent;
    Finetune(longer, silent).run_epoch();
  }
  EXPECT_FALSE(is_finished(longer));
  run_to_end(longer);
  EXPECT_TRUE(is_finished(longer));
}

TEST_P(FinetuneOn, DoesWhatWasForecast) {
  const TemporaryFolder folder;
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"sampling.continuation_steps=3", "method.regularisation.anchors=true",
       "train.updates_per_epoch=3"},
      {"sampling.share=none"},
      {"sampling.share=sampling"},
      {"method.name=flow-grpo", "method.estimator.branches=[]",
       "prompts.samples_per_prompt=3", "compute.rollout_type=float32",
       "train.weights=full", "train.lr=0.0001"}};
  for (size_t i = 0; i < cases.size(); ++i) {
    auto overrides = cases[i];
    overrides.push_back("train.epochs=1");
    const auto options = options_of(folder / cat("run", i), overrides);
    const auto f = forecast(options);
    const auto line = run_to_end(options)[1];
    const auto& evaluations = line.at("evaluations");
    EXPECT_EQ(line.at("images"), f.images) << i;
    EXPECT_EQ(line.at("rows"), f.rows) << i;
    EXPECT_EQ(line.at("groups"), f.groups) << i;
    EXPECT_EQ(line.at("updates"), f.updates) << i;
    EXPECT_EQ(evaluations.at("rollout"), f.evaluations.rollout) << i;
    EXPECT_EQ(evaluations.at("old"), f.evaluations.old) << i;
    EXPECT_EQ(evaluations.at("reference"), f.evaluations.reference) << i;
    ASSERT_TRUE(f.update_is_exact) << i;
    EXPECT_EQ(evaluations.at("update"), f.evaluations.update) << i;
    EXPECT_EQ(line.at("evals"), f.evaluations.sum()) << i;
  }
}

TEST_P(FinetuneOn, WithoutSharingTheSameUpdateCostsAPassARow) {
  const TemporaryFolder folder;
  const std::vector<std::string> one_update = {"train.epochs=1",
                                               "train.updates_per_epoch=1",
                                               "compute.rollout_type=float32"};
  auto apart = one_update;
  apart.push_back("sampling.share=none");
  const auto a = run_to_end(options_of(folder / "a", one_update));
  const auto b = run_to_end(options_of(folder / "b", apart));
  EXPECT_EQ(a[1].at("reward"), b[1].at("reward"));
  EXPECT_LT(a[1].at("evals"), b[1].at("evals"));
  const double norm = a[1].at("grad_norm");
  // Float32 sums in another order, over rows of both signs.
  EXPECT_NEAR(b[1].at("grad_norm").get<double>(), norm, 1e-4 * norm);
}

TEST_P(FinetuneOn, ThreadsAndCheckpointingChangeNothingBitForBit) {
  for (const std::string weights : {"full", "lora"}) {
    const TemporaryFolder folder;
    std::vector<std::string> settings = {"train.weights=" + weights,
                                         "train.lr=0.0001", "train.epochs=2"};
    run_to_end(options_of(folder / "a", settings));
    if (device().is_cpu()) settings.push_back("compute.threads=3");
    settings.push_back("compute.activation_checkpointing=true");
    run_to_end(options_of(folder / "b", settings));
    expect_same_weights(folder / "a", folder / "b");
  }
}

TEST_P(FinetuneOn, HalfPrecisionRolloutsLeaveTheFirstRatioExactlyOne) {
  // The rollout's gap shows that there was one to bridge. Small: a CPU may have
  // no products of half precision.
  const TemporaryFolder folder;
  const auto ends = [&](const std::string& name,
                        const std::vector<std::string>& types) {
    std::vector<std::string> settings = {
        "train.epochs=2", "sampling={steps: 4, guidance_scale: 1, size: 16}",
        "evaluation.steps=2", "method.estimator.branches=[3, 2, 0]",
        "prompts.per_epoch=2"};
    settings.insert(settings.end(), types.begin(), types.end());
    return run_to_end(options_of(folder / name, settings));
  };
  const auto half = ends("half", {"compute.rollout_type=bfloat16"});
  EXPECT_GT(half[2].at("rollout_gap").get<double>(), 0);
  expect_no_gap(half[2]);
  for (const std::string checkpointing : {"false", "true"}) {
    const auto trained =
        ends("trained" + checkpointing,
             {"compute.rollout_type=bfloat16", "compute.training_type=bfloat16",
              "compute.activation_checkpointing=" + checkpointing});
    EXPECT_NE(trained[2].at("grad_norm"), half[2].at("grad_norm"));
    expect_no_gap(trained[2]);
  }
  const auto single = ends("single", {"compute.rollout_type=float32"});
  EXPECT_LT(single[2].at("rollout_gap").get<double>(),
            half[2].at("rollout_gap").get<double>());
  const auto full = ends("full", {"compute.rollout_type=float32",
                                  "train.weights=full", "train.lr=0.0001"});
  EXPECT_EQ(full[2].at("rollout_gap").get<double>(), 0);
  EXPECT_EQ(full[2].at("evaluations").at("old"), 0);
  expect_no_gap(full[2]);
}

TEST_P(FinetuneOn, TwoTilesLeaveTheFirstRatioExactlyOne) {
  const TemporaryFolder folder;
  for (const std::string weights : {"full", "lora"}) {
    const auto log = run_to_end(options_of(
        folder / weights, {"train.epochs=2", "train.weights=" + weights,
                           "train.lr=0.0001", "compute.rollout_type=float32",
                           "compute.rollout_tile=7", "compute.train_tile=3"}));
    EXPECT_GT(log[2].at("evaluations").at("old"), 0) << weights;
    expect_no_gap(log[2]);
  }
}

TEST(Finetune, AnotherConfigInTheSameFolderIsRefused) {
  const TemporaryFolder folder;
  run_to_end(options_of(folder / "run", {"train.epochs=1"}));
  const auto error = error_of([&] {
    run_to_end(options_of(folder / "run", {"train.epochs=1", "train.lr=0.5"}));
  });
  expect_parts(error, {"train.lr: 0.001", "0.5", "another config"});
  // More epochs are no other run: it goes on.
  EXPECT_EQ(run_to_end(options_of(folder / "run", {"train.epochs=2"})).size(),
            3u);
}

TEST_P(FinetuneOn, GroupsWithoutSpreadStopTheRunWithAdvice) {
  const TemporaryFolder folder;
  // No noise to speak of: all branches of a root give the same picture.
  const auto error = error_of([&] {
    run_to_end(options_of(
        folder / "run",
        {"sampling.noise_level=1e-6", "reward=shapes", "sampling.size=0"}));
  });
  expect_parts(error, {"[reward shapes]", "groups", "spread", "noise_level"});
}

}  // namespace
}  // namespace rsm
