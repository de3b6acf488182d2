// What a run exports, read back by PEFT and diffusers.

#include "rsm/runs/export.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/image_model.h"
#include "rsm/models/lora_files.h"
#include "rsm/models/testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A run of no epochs whose checkpoint then holds random weights, so that a
 * wrong scale shows. */
RunOptions random_run(const std::string& folder, const std::string& train,
                      const std::string& model = "models/shapes-flow",
                      const std::vector<std::string>& overrides = {}) {
  const auto options =
      read_run_options(Config::parse("name: test\n"
                                     "folder: " +
                                         folder +
                                         "\n"
                                         "model: " +
                                         model +
                                         "\n"
                                         "train: {epochs: 0, " +
                                         train +
                                         "}\n"
                                         "evaluation: {images: 6, steps: 1}\n",
                                     "test.yaml", overrides));
  NoProgress silent;
  Finetune(options, silent).save();
  auto checkpoint = *latest_checkpoint(folder);
  uint64_t index = 0;
  for (auto& [name, tensor] : checkpoint.tensors) {
    if (name.starts_with("average.")) {
      tensor = tensor + 0.1 * test_normal(index++, tensor.sizes());
    }
  }
  save_checkpoint(folder, checkpoint);
  return options;
}

/** Inputs for the network of a shapes model. */
StateDict inputs_for(const ImageModel& model) {
  const torch::NoGradGuard no_grad;
  const auto condition = model.text->encode({"a red circle", "two crosses"});
  StateDict in = {{"x", test_normal(1, {2, 3, 32, 32})},
                  {"timestep", at::tensor({900.0F, 300.0F})},
                  {"tokens", condition.tokens}};
  if (condition.pooled.defined()) in["pooled"] = condition.pooled;
  return in;
}

torch::Tensor velocity_of(const Network& network, const StateDict& in) {
  const torch::NoGradGuard no_grad;
  const auto pooled = in.find("pooled");
  return network->predict(
      in.at("x"), in.at("timestep") / 1000,
      {in.at("tokens"), pooled == in.end() ? torch::Tensor() : pooled->second});
}

/** Every linear layer, of a flow and of a diffusion model. */
class ExportOfAllLinear : public testing::TestWithParam<std::string> {};

TEST_P(ExportOfAllLinear, GivesTheSameOutputInPeftAndDiffusers) {
  const TemporaryFolder folder;
  const std::string source = GetParam();
  const auto run = random_run(
      folder / "run", "lora: {targets: all-linear, exclude: [to_v]}", source);
  ExportOptions options;
  options.run = folder / "run";
  options.output = folder / "lora";
  NoProgress silent;
  export_run(options, silent);
  const auto model = ImageModel::load(source);
  const auto in = inputs_for(model);
  const auto ours =
      velocity_of(ImageModel::load(folder / "lora/merged").network, in);
  EXPECT_GT(relative(velocity_of(model.network, in), ours), 0.01);
  const std::string part = model.network->part();
  fs::copy(source + "/" + part, folder / part);
  write_safetensors(folder / "inputs.safetensors", in);
  run_python("lora_peer.py", "velocities " + folder.path());
  const auto found =
      read_safetensors(folder / "velocities.safetensors").tensors;
  for (const char* reader : {"peft", "diffusers", "pipeline", "merged"}) {
    // Merging sums in another order, through all blocks.
    EXPECT_LT(relative(found.at(reader), ours), 1e-4) << reader;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ExportOfAllLinear,
                         testing::Values("models/shapes-flow",
                                         "models/shapes-diffusion"),
                         [](const auto& info) {
                           return info.index == 0 ? "Flow" : "Diffusion";
                         });

TEST(Export, LoraGivesTheSameVelocityInPeftAndDiffusers) {
  for (const bool fold : {false, true}) {
    const TemporaryFolder folder;
    NoProgress silent;
    const auto run = random_run(folder / "run", "weights: lora");
    ASSERT_NE(run.lora_config.alpha, run.lora_config.rank);
    ExportOptions options;
    options.run = folder / "run";
    options.output = folder / "lora";
    options.fold_alpha = fold;
    const auto files = export_run(options, silent);
    ASSERT_EQ(files.size(), 3u);
    for (const auto& file : files) {
      EXPECT_TRUE(fs::exists(file.path)) << file.path;
      EXPECT_LE(file.difference, file.allowed) << file.path;
    }
    const auto model = ImageModel::load("models/shapes-flow");
    const auto in = inputs_for(model);
    const auto merged = ImageModel::load(folder / "lora/merged").network;
    const auto ours = velocity_of(merged, in);
    EXPECT_GT(relative(velocity_of(model.network, in), ours), 0.01);
    fs::copy("models/shapes-flow/transformer", folder / "transformer");
    write_safetensors(folder / "inputs.safetensors", in);
    run_python("lora_peer.py", "velocities " + folder.path());
    const auto found =
        read_safetensors(folder / "velocities.safetensors").tensors;
    for (const char* reader : {"peft", "diffusers", "pipeline", "merged"}) {
      // Merging sums in another order, through four blocks.
      EXPECT_LT(relative(found.at(reader), ours), 10 * kFloatTolerance)
          << reader << (fold ? ", folded" : "");
    }
    if (fold) {
      // A reader that knows nothing of alpha takes it for the rank.
      auto plain =
          read_safetensors(folder / "lora/pytorch_lora_weights.safetensors");
      fs::create_directories(folder / "bare");
      write_safetensors(folder / "bare/pytorch_lora_weights.safetensors",
                        plain.tensors, {{"format", "pt"}});
      EXPECT_EQ(load_diffusers_lora(folder / "bare").config.scale(), 1);
    }
  }
}

TEST(Export, AllWeightsComeBackAsAModel) {
  const TemporaryFolder folder;
  NoProgress silent;
  random_run(folder / "run", "weights: full");
  ExportOptions options;
  options.run = folder / "run";
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    options.type = type;
    const auto files = export_run(options, silent);
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0].path, folder / "run/export/merged");
    for (const std::string untouched :
         {"text_encoder/model.safetensors", "tokenizer/vocab.json",
          "scheduler/scheduler_config.json", "transformer/config.json"}) {
      EXPECT_EQ(read_file(files[0].path + "/" + untouched),
                read_file("models/shapes-flow/" + untouched));
    }
    EXPECT_LE(files[0].difference, files[0].allowed);
  }
}

TEST(Export, WithoutACheckpointItSaysSo) {
  const TemporaryFolder folder;
  NoProgress silent;
  const auto run = random_run(folder / "run", "weights: lora");
  fs::remove_all(folder / "run/checkpoints");
  ExportOptions options;
  options.run = folder / "run";
  expect_parts(error_of([&] { export_run(options, silent); }),
               {"[export]", "run", "no whole checkpoint"});
}

TEST(Export, NeedsTheBaseModelTheRunBeganWithAndNothingElse) {
  const TemporaryFolder folder;
  Notes notes;
  const std::string shipped = "models/shapes-flow";
  const std::string base = folder / "base", moved = folder / "moved";
  fs::copy(shipped, base, fs::copy_options::recursive);
  write_file_atomic(folder / "prompts.txt", "a red circle\ntwo crosses\n");
  const auto run = random_run(folder / "run", "weights: lora", base,
                              {"prompts.train=" + (folder / "prompts.txt")});
  fs::remove(folder / "prompts.txt");
  fs::remove(folder / "run/config.yaml");
  fs::rename(base, moved);
  fs::rename(folder / "run", folder / "elsewhere");
  ExportOptions options;
  options.run = folder / "elsewhere";
  expect_parts(error_of([&] { export_run(options, notes); }),
               {"[export]", base, "--model"});
  options.model = moved;
  EXPECT_EQ(export_run(options, notes).size(), 3u);
  EXPECT_TRUE(notes.said.empty()) << notes.all();
  // A file that changes what the model computes, and one that doesn't.
  write_file_atomic(moved + "/README.md", "other words");
  EXPECT_EQ(export_run(options, notes).size(), 3u);
  const std::string config = moved + "/transformer/config.json";
  write_file_atomic(config, read_file(config) + "\n");
  expect_parts(error_of([&] { export_run(options, notes); }),
               {"[export]", moved, "transformer/config.json (changed)"});
}

}  // namespace
}  // namespace rsm
