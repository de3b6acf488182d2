// Runs that go on training a LoRA.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/lora_files.h"
#include "rsm/models/lora_testing.h"
#include "rsm/runs/export.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kModel = "models/shapes-flow";

/** A run whose LoRA the others go on from is made once. */
class LoraFrom : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = std::make_unique<TemporaryFolder>();
    log_ = run_to_end(quick_run(*made_ / "first",
                                {"train.lora.rank=2", "train.lora.alpha=6",
                                 "train.lora.targets=[attn.to_q, attn.to_v]"}));
  }
  static void TearDownTestSuite() { made_.reset(); }

  /** A run that goes on from a LoRA. */
  RunOptions from(const std::string& lora, const std::string& name,
                  std::vector<std::string> overrides = {}) const {
    overrides.push_back("train.lora.from=" + lora);
    return quick_run(folder_ / name, overrides);
  }
  static std::string first() { return *made_ / "first/final"; }

  /** Means of an evaluation, which the clock has no part in. */
  static json scores(const json& line) { return line.at("eval").at("metrics"); }

  static std::unique_ptr<TemporaryFolder> made_;
  static std::vector<json> log_;
  TemporaryFolder folder_;
};

std::unique_ptr<TemporaryFolder> LoraFrom::made_;
std::vector<json> LoraFrom::log_;

TEST_F(LoraFrom, BeginsWhereTheOtherRunEnded) {
  const auto settings = from(first(), "run");
  EXPECT_EQ(settings.lora_config.rank, 2);
  EXPECT_EQ(settings.lora_config.alpha, 6);
  EXPECT_EQ(settings.lora_config.targets,
            (std::vector<std::string>{"attn.to_q", "attn.to_v"}));
  const auto log = run_to_end(settings);
  EXPECT_EQ(scores(log[0]), scores(log_.back()));
  EXPECT_NE(scores(log[0]), scores(log_.front()));
  // Drift is from the model without a LoRA, where the other run began too.
  EXPECT_EQ(log[0].at("eval").at("kl"), log_.back().at("eval").at("kl"));
  EXPECT_GT(log[0].at("eval").at("kl"), 0);
}

TEST_F(LoraFrom, ItsFirstScoresAreThoseThatEvaluateGives) {
  const auto log = run_to_end(from(first(), "run", {"train.epochs=0"}));
  const std::string command =
      cat(RSM_BINARY_DIR, "/rsm evaluate ", kModel, " --lora ", first(),
          " --guidance 1 --steps 2 --tile 8 --images 6 "
          "--seed 42 --reward jpeg-compressibility --json > ",
          folder_ / "scores.json", " 2> ", folder_ / "said");
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(folder_ / "said");
  EXPECT_EQ(read_json(folder_ / "scores.json").at("metrics"), scores(log[0]));
}

TEST_F(LoraFrom, TheReferenceCanHaveItToo) {
  const auto log = run_to_end(
      from(first(), "run", {"train.epochs=1", "train.lora.reference=from"}));
  EXPECT_EQ(log[0].at("eval").at("kl"), 0);
  EXPECT_EQ(log[1].at("kl"), 0);
  const auto base = run_to_end(from(first(), "base", {"train.epochs=1"}));
  EXPECT_GT(base[1].at("kl"), 0);
}

TEST_F(LoraFrom, AStoppedRunGoesOnWithTheSameBytes) {
  const std::vector<std::string> reference = {"train.lora.reference=from",
                                              "method.regularisation.beta=0.1"};
  run_to_end(from(first(), "whole", reference));
  {
    NoProgress silent;
    Finetune run(from(first(), "stopped", reference), silent);
    run.run_epoch();
  }
  run_to_end(from(first(), "stopped", reference));
  expect_same_weights(folder_ / "whole", folder_ / "stopped");
  for (const char* file :
       {"adapter_model.safetensors", "pytorch_lora_weights.safetensors"}) {
    EXPECT_EQ(file_checksum(folder_ / (std::string("whole/final/") + file)),
              file_checksum(folder_ / (std::string("stopped/final/") + file)));
  }
}

TEST_F(LoraFrom, AnotherFileIsRefusedWhereTheRunGoesOn) {
  fs::copy(first(), folder_ / "lora", fs::copy_options::recursive);
  run_to_end(from(folder_ / "lora", "run", {"train.epochs=1"}));
  // Elsewhere the same is fine.
  fs::rename(folder_ / "lora", folder_ / "moved");
  run_to_end(from(folder_ / "moved", "run", {"train.epochs=2"}));
  auto file = load_peft_adapter(folder_ / "moved");
  file.tensors.begin()->second.mul_(2);
  save_peft_adapter(folder_ / "moved", file.config, file.tensors);
  expect_parts(error_of([&] {
                 run_to_end(from(folder_ / "moved", "run", {"train.epochs=3"}));
               }),
               {folder_ / "moved", "train.lora.from",
                "adapter_model.safetensors (changed)"});
  // And a run that began with none does not go on with one.
  run_to_end(
      quick_run(folder_ / "fresh",
                {"train.epochs=1", "train.lora.rank=2", "train.lora.alpha=6",
                 "train.lora.targets=[attn.to_q, attn.to_v]"}));
  expect_parts(
      error_of([&] { run_to_end(from(first(), "fresh", {"train.epochs=2"})); }),
      {"train.lora.from", "(new)"});
}

TEST_F(LoraFrom, ExportsNeedItNoMore) {
  fs::copy(first(), folder_ / "lora", fs::copy_options::recursive);
  run_to_end(from(folder_ / "lora", "run", {"train.epochs=1"}));
  fs::remove_all(folder_ / "lora");
  NoProgress silent;
  ExportOptions asked;
  asked.run = folder_ / "run";
  export_run(asked, silent);
  const auto before = load_peft_adapter(first());
  const auto after = load_peft_adapter(folder_ / "run/export");
  EXPECT_EQ(after.config.rank, 2);
  EXPECT_EQ(after.config.alpha, 6);
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  const auto norm = [](const StateDict& lora) {
    double sum = 0;
    for (const auto& [name, tensor] : lora) sum += tensor.norm().item<double>();
    return sum;
  };
  StateDict change;
  for (const auto& [name, tensor] : after.tensors) {
    change[name] = tensor - before.tensors.at(name);
  }
  // An epoch's step away from where it began, not from nothing.
  EXPECT_GT(norm(change), 0);
  EXPECT_LT(norm(change), 0.5 * norm(before.tensors));
}

TEST_F(LoraFrom, WhatContradictsItIsNamedWithBothValues) {
  const auto error = [&](const std::vector<std::string>& overrides) {
    return error_of([&] { from(first(), "run", overrides); });
  };
  expect_parts(error({"train.lora.rank=4"}),
               {"train.lora.rank: got 4", first(), "has 2"});
  expect_parts(error({"train.lora.alpha=4"}),
               {"train.lora.alpha: got 4", first(), "has 6"});
  expect_parts(error({"train.lora.targets=[attn.to_q]"}),
               {"train.lora.targets: got [attn.to_q]", "attn.to_v"});
  expect_parts(error({"train.lora.exclude=[attn.to_q]"}),
               {"train.lora.exclude: got [attn.to_q]"});
  expect_parts(error({"train.weights=full"}),
               {"train.lora.from", first(), "weights: lora"});
  // What says the same does not contradict.
  from(first(), "run",
       {"train.lora.rank=2", "train.lora.alpha=6",
        "train.lora.targets=[attn.to_v, attn.to_q]"});
}

TEST_F(LoraFrom, WhatDoesNotFitIsNamedByFileAndKey) {
  const std::string none = folder_ / "none";
  expect_parts(error_of([&] { from(none, "run"); }),
               {"train.lora.from", none, "not there"});
  const std::string other = folder_ / "x.safetensors";
  write_safetensors(other,
                    {{"transformer.no.to_q.lora_A.weight", at::ones({2, 8})},
                     {"transformer.no.to_q.lora_B.weight", at::ones({8, 2})}});
  expect_parts(error_of([&] { from(other, "run"); }),
               {"train.lora.from", other, "no.to_q"});
}

TEST_F(LoraFrom, OfEveryNamingHasTheSameScores) {
  const std::vector<std::string> exact = {"train.epochs=0",
                                          "compute.rollout_type=float32"};
  const auto reward = [&](const RunOptions& settings) {
    return run_to_end(settings)[0].at("eval_reward").get<double>();
  };
  const double expected = reward(from(first(), "expected", exact));
  // JPEGs are whole bytes of pixels that round.
  constexpr double kRounding = 1e-3;
  EXPECT_GT(std::abs(reward(quick_run(folder_ / "none", exact)) / expected - 1),
            3 * kRounding);
  const auto file = load_peft_adapter(first());
  for (const auto& naming : lora_namings("transformer")) {
    const std::string path = folder_ / (naming.form + ".safetensors");
    write_safetensors(path, naming.of(file.tensors, file.config.scale()));
    EXPECT_NEAR(reward(from(path, naming.form, exact)) / expected, 1, kRounding)
        << naming.form;
  }
}

}  // namespace
}  // namespace rsm
