// Whole runs on the shipped model, with small numbers.

#include "rsm/train/finetune.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/run_log.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/forecast.h"
#include "rsm/runs/run_folder.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

std::string config_text(const std::string& folder) {
  return "name: test\n"
         "folder: " +
         folder + "\n" +
         R"(model: models/shapes-flow
method:
  name: tempflow-grpo
  estimator:
    branches: [3, 0, 3, 0, 2, 0, 0, 0, 0]
prompts:
  per_epoch: 3
sampling:
  guidance_scale: 2
train:
  epochs: 3
  lora:
    rank: 4
    alpha: 8
  lr: 0.001
evaluation:
  images: 12
  every: 2
checkpoint:
  every: 1
compute:
  threads: 2
)";
}

RunOptions options_of(const std::string& folder,
                      const std::vector<std::string>& overrides = {}) {
  return read_run_options(
      Config::parse(config_text(folder), "test.yaml", overrides));
}

/** Runs on each device, by options_of and config_of of their own. */
class FinetuneOn : public OnDevice {
 protected:
  RunOptions options_of(const std::string& folder,
                        std::vector<std::string> overrides = {}) const {
    overrides.push_back(on_device());
    return rsm::options_of(folder, overrides);
  }
  /** For the program: the config of a run there. */
  std::string config_of(const std::string& folder) const {
    auto text = config_text(folder);
    const std::string section = "compute:\n";
    return text.insert(text.find(section) + section.size(),
                       "  device: " + GetParam() + "\n");
  }
  /** The first ratio was 1; a GPU may be a tenth of the clip range off, beyond
   * which run_epoch throws. */
  void expect_no_gap(const nlohmann::json& line) const {
    if (repeats_its_bits()) {
      EXPECT_EQ(line.at("first_gap"), 0);
    }
  }
  /** What two runs have learnt is the same: every byte where the device
   * repeats its bits. Elsewhere rounding decides the sign of gradients that
   * are nothing else, and AdamW makes a whole step of a sign. */
  void expect_same_weights(const std::string& a, const std::string& b) const {
    const std::string file = "/final/adapter_model.safetensors";
    if (repeats_its_bits()) {
      EXPECT_EQ(read_file(a + file), read_file(b + file));
      return;
    }
    const auto mine = read_safetensors(a + file).tensors;
    for (const auto& [name, tensor] : read_safetensors(b + file).tensors) {
      const double gap = (mine.at(name) - tensor).norm().item<double>();
      EXPECT_LT(gap, 0.05 * tensor.norm().item<double>()) << name;
    }
  }
};
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
}

TEST_P(FinetuneOn, CountsTheNetworkEvaluationsOfThePlan) {
  const TemporaryFolder folder;
  const auto options = options_of(folder / "run", {"train.epochs=1"});
  const auto log = run_to_end(options);
  const auto plan = options.plan();
  EXPECT_EQ(log[1].at("evaluations").at("rollout"),
            3 * plan.evaluations_per_root());
  EXPECT_EQ(log[1].at("evaluations").at("old"), 3 * plan.states_per_root());
  EXPECT_EQ(log[1].at("evals"),
            log[1]["evaluations"]["rollout"].get<int>() +
                log[1]["evaluations"]["old"].get<int>() +
                log[1]["evaluations"]["reference"].get<int>() +
                log[1]["evaluations"]["update"].get<int>());
}

TEST_P(FinetuneOn, AveragesAsOftenAndAsFastAsTheConfigSays) {
  const TemporaryFolder folder;
  NoProgress silent;
  Finetune run(options_of(folder / "run",
                          {"train.updates_per_epoch=2", "train.ema_every=2",
                           "train.ema_warmup=true", "train.ema_decay=0.9"}),
               silent);
  std::vector<std::string> damaged;
  const auto saved = [&] {
    run.save();
    return latest_checkpoint(folder / "run", damaged).value().tensors;
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

TEST(Finetune, TakesTheMemoryThatWasForecast) {
  // In processes of their own: the peak is one of a whole process.
  const TemporaryFolder folder;
  const std::string settings =
      " configs/shapes/demo.yaml --set folder=" + (folder / "run") +
      " --set train.epochs=3 "
      "--set train.lr_schedule=constant "
      "--set evaluation.every=1 ";
  const std::string program = std::string(RSM_BINARY_DIR) + "/rsm ";
  const std::string table = folder / "check.json";
  ASSERT_EQ(
      std::system(cat(program, "check", settings, "--json >", table).c_str()),
      0);
  ASSERT_EQ(
      std::system(
          cat(program, "finetune", settings, "--json >/dev/null 2>&1").c_str()),
      0);
  const double taken =
      read_log(folder / "run/log.jsonl").back().at("peak_memory_mb");
  const double foretold = read_json(table).at("cost").at("peak_memory_mb");
  EXPECT_NEAR(foretold, taken, 0.15 * taken);
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
  const TemporaryFolder folder;
  run_to_end(options_of(folder / "a"));
  run_to_end(options_of(
      folder / "b",
      {"compute.threads=3", "compute.activation_checkpointing=true"}));
  expect_same_weights(folder / "a", folder / "b");
}

TEST_P(FinetuneOn, HalfPrecisionRolloutsLeaveTheFirstRatioExactlyOne) {
  // The rollout's gap shows that there was one to bridge.
  const TemporaryFolder folder;
  const auto half = run_to_end(options_of(folder / "half", {"train.epochs=2"}));
  EXPECT_GT(half[2].at("rollout_gap").get<double>(), 0);
  expect_no_gap(half[2]);
  for (const std::string checkpointing : {"false", "true"}) {
    const auto trained = run_to_end(
        options_of(folder / ("trained" + checkpointing),
                   {"train.epochs=2", "compute.training_type=bfloat16",
                    "compute.activation_checkpointing=" + checkpointing}));
    EXPECT_NE(trained[2].at("grad_norm"), half[2].at("grad_norm"));
    expect_no_gap(trained[2]);
  }
  const auto single = run_to_end(options_of(
      folder / "single", {"train.epochs=2", "compute.rollout_type=float32"}));
  EXPECT_LT(single[2].at("rollout_gap").get<double>(),
            half[2].at("rollout_gap").get<double>());
  const auto full = run_to_end(options_of(
      folder / "full", {"train.epochs=2", "compute.rollout_type=float32",
                        "train.weights=full", "train.lr=0.0001"}));
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

std::string with_checkpoints_every(std::string config, int64_t epochs) {
  const std::string key = "checkpoint:\n  every: ";
  return config.replace(config.find(key + "1"), key.size() + 1,
                        cat(key, epochs));
}

/** Starts the program on a config; returns the child. What it says on standard
 * error goes to a file. */
pid_t start_program(const std::string& config,
                    const std::string& said = "/dev/null") {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen(said.c_str(), "w", stderr) == nullptr ||
        std::freopen("/dev/null", "w", stdout) == nullptr) {
      _exit(127);
    }
    const std::string program = std::string(RSM_BINARY_DIR) + "/rsm";
    execl(program.c_str(), "rsm", "finetune", config.c_str(), nullptr);
    _exit(127);
  }
  return child;
}

int64_t lines_of(const std::string& path) {
  std::ifstream file(path);
  int64_t count = 0;
  for (std::string line; std::getline(file, line);) {
    ++count;
  }
  return count;
}

TEST_P(FinetuneOn, KilledInTheMiddleOfAnEpochItEndsInTheSameBytes) {
  const TemporaryFolder folder;
  const std::string whole = folder / "whole", broken = folder / "broken";
  write_file_atomic(folder / "whole.yaml", config_of(whole));
  write_file_atomic(folder / "broken.yaml", config_of(broken));
  int status = 0;
  ASSERT_EQ(waitpid(start_program(folder / "whole.yaml"), &status, 0) > 0,
            true);
  ASSERT_EQ(status, 0);
  const pid_t child = start_program(folder / "broken.yaml");
  // Two lines: the evaluation before training and epoch 1; then epoch 2 is
  // under way.
  while (lines_of(broken + "/log.jsonl") < 2 &&
         waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  ASSERT_FALSE(fs::exists(broken + "/final"));
  ASSERT_GT(waitpid(start_program(folder / "broken.yaml"), &status, 0), 0);
  ASSERT_EQ(status, 0);
  expect_same_weights(whole, broken);
  const auto a = read_log(whole + "/log.jsonl");
  const auto b = read_log(broken + "/log.jsonl");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (repeats_its_bits()) {
      EXPECT_EQ(a[i].value("reward", 0.0), b[i].value("reward", 0.0));
    }
    EXPECT_EQ(a[i].at("images"), b[i].at("images"));
  }
}

TEST_P(FinetuneOn, InterruptedItSavesSaysHowToGoOnAndEndsInTheSameBytes) {
  const TemporaryFolder folder;
  const std::string whole = folder / "whole", broken = folder / "broken";
  write_file_atomic(folder / "whole.yaml", config_of(whole));
  // Checkpoints would come too late: the interrupt itself must save.
  write_file_atomic(folder / "broken.yaml",
                    with_checkpoints_every(config_of(broken), 1000));
  int status = 0;
  ASSERT_GT(waitpid(start_program(folder / "whole.yaml"), &status, 0), 0);
  ASSERT_EQ(status, 0);
  const pid_t child =
      start_program(folder / "broken.yaml", folder / "said.txt");
  while (lines_of(broken + "/log.jsonl") < 2 &&
         waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(child, SIGINT);
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  expect_parts(read_file(folder / "said.txt"),
               {"stopped and saved", "same command"});
  // Whole epochs: the one under way was finished, or forgotten.
  const auto stopped = read_log(broken + "/log.jsonl");
  EXPECT_LT(stopped.size(), 4u);
  EXPECT_TRUE(fs::exists(
      cat(broken, "/checkpoints/epoch-00000", stopped.size() - 1, ".json")));
  ASSERT_GT(waitpid(start_program(folder / "broken.yaml"), &status, 0), 0);
  ASSERT_EQ(status, 0);
  expect_same_weights(whole, broken);
}

TEST(Finetune, InterruptedInAnEvaluationItHasSavedBeforeAndEvaluatesNext) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  // An evaluation of minutes.
  auto config = config_text(run);
  config.replace(config.find("images: 12"), 10, "images: 6000");
  write_file_atomic(folder / "run.yaml", config);
  int status = 0;
  const pid_t child = start_program(folder / "run.yaml", folder / "said.txt");
  while (lines_of(run + "/log.jsonl") < 1 &&
         waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(child, SIGTERM);
  ASSERT_GT(waitpid(child, &status, 0), 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  expect_parts(read_file(folder / "said.txt"), {"stopped", "same command"});
  EXPECT_TRUE(fs::exists(run + "/checkpoints/epoch-000000.json"));
  const auto log = read_log(run + "/log.jsonl");
  ASSERT_EQ(log.size(), 1u);
  EXPECT_FALSE(log[0].contains("eval"));
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
    run_to_end(options_of(folder / "run", {"sampling.noise_level=1e-6"}));
  });
  expect_parts(error, {"[reward shapes]", "groups", "spread", "noise_level"});
}

}  // namespace
}  // namespace rsm
