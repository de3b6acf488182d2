#include "rsm/models/lora_formats.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_start.h"
#include "rsm/models/lora_testing.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/** A UNet's weights, a LoRA of its attention and what they make together. */
struct Adapted {
  StateDict weights, lora, merged_weights;
  LoraConfig config = small_lora();

  Adapted() {
    const torch::NoGradGuard no_grad;
    Unet model(small_unet_config());
    fill(*model, 100, 1, 1);
    config.targets = kUnetLoraTargets;
    LoraAdapter adapter(*model, config, 1);
    randomise(adapter, 5);
    for (const auto& [name, tensor] : adapter.state()) {
      lora[name] = tensor.clone();
    }
    weights = state_dict(*model);
    merged_weights = adapter.merged();
  }
};

void expect_merged(const LoraFile& file, const Adapted& own,
                   const std::string& form) {
  const auto found = merged(own.weights, file.tensors, file.config);
  for (const auto& [name, tensor] : own.merged_weights) {
    EXPECT_LT(relative(found.at(name), tensor), kFloatTolerance)
        << form << ": " << name;
  }
}

TEST(LoraFormats, OfAllNamesAreTheSame) {
  const Adapted own;
  for (const auto& naming : lora_namings("unet")) {
    const TemporaryFolder folder;
    write_safetensors(folder / "any_name.safetensors",
                      naming.of(own.lora, own.config.scale()));
    expect_merged(load_lora(folder.path(), "unet", own.weights), own,
                  naming.form);
    expect_merged(
        load_lora(folder / "any_name.safetensors", "unet", own.weights), own,
        naming.form + ", file");
  }
}

/** As kohya has it: some ranks filled up with zeros, alphas of twice the scale
 * and half of B. */
StateDict with_alphas(const StateDict& lora, double scale) {
  StateDict out;
  int64_t count = 0;
  for (const auto& pair : lora_pairs(lora, kRankByLayer, "test")) {
    const std::string name = "lora_unet_" + flat_name(pair.module);
    const int64_t more = count++ % 3;
    const int64_t rank = pair.down.size(0) + more;
    out[name + ".lora_down.weight"] =
        at::cat({pair.down, at::zeros({more, pair.down.size(1)})}, 0);
    out[name + ".lora_up.weight"] =
        at::cat({pair.up, at::zeros({pair.up.size(0), more})}, 1) / 2;
    out[name + ".alpha"] =
        at::scalar_tensor(2 * scale * static_cast<double>(rank));
  }
  return out;
}

TEST(LoraFormats, KohyasAlphasAndRanksByLayerAreKept) {
  const Adapted own;
  const auto tensors = with_alphas(own.lora, own.config.scale());
  const auto file = lora_of_others(tensors, "unet", own.weights, "test");
  EXPECT_EQ(file.config.rank, own.config.rank + 2);
  expect_merged(file, own, "kohya");
}

TEST(LoraFormats, OneAlphaForAllStaysOne) {
  const Adapted own;
  const auto tensors = kohyas_with_alpha(own.lora, own.config.alpha);
  const auto file = lora_of_others(tensors, "unet", own.weights, "test");
  EXPECT_EQ(file.config.rank, own.config.rank);
  EXPECT_EQ(file.config.alpha, own.config.alpha);
  for (const auto& [name, tensor] : own.lora) {
    EXPECT_TRUE(file.tensors.at(name).equal(tensor)) << name;
  }
}

TEST(LoraFormats, OfConvolutionsAreMerged) {
  const Adapted own;
  for (const std::string layer :
       {"mid_block.attentions.0.proj_in", "mid_block.resnets.0.conv1"}) {
    const auto& weight = own.weights.at(layer + ".weight");
    ASSERT_EQ(weight.dim(), 4);
    const auto down = test_normal(1, lora_down_shape(weight, 2));
    const auto up = test_normal(2, {weight.size(0), 2, 1, 1});
    const auto file = lora_of_others(
        {{"lora_unet_" + flat_name(layer) + ".lora_down.weight", down},
         {"lora_unet_" + flat_name(layer) + ".lora_up.weight", up}},
        "unet", own.weights, "test");
    const auto found = merged(own.weights, file.tensors, file.config);
    const auto expected =
        weight + at::mm(up.flatten(1), down.flatten(1)).view(weight.sizes());
    EXPECT_LT(relative(found.at(layer + ".weight"), expected), kFloatTolerance);
  }
}

TEST(LoraFormats, OfPeftWithRanksAlphasAndConvolutionsAreRead) {
  const Adapted own;
  const TemporaryFolder folder;
  fs::create_directories(folder / "unet");
  write_json_atomic(folder / "unet/config.json", small_unet_config().to_json());
  write_safetensors(folder / "unet/diffusion_pytorch_model.safetensors",
                    own.weights, {{"format", "pt"}});
  for (const std::string scaling : {"plain", "rslora"}) {
    run_python("lora_peer.py", "save " + folder.path() + " " + scaling);
    const auto expected =
        read_safetensors(folder / (scaling + "/merged.safetensors")).tensors;
    for (const std::string place : {"peft/style", "diffusers", "raw"}) {
      const auto file =
          load_lora(folder / (scaling + "/" + place), "unet", own.weights);
      const auto found = merged(own.weights, file.tensors, file.config);
      int64_t changed = 0;
      for (const auto& [name, tensor] : expected) {
        EXPECT_LT(relative(found.at(name), tensor), kFloatTolerance)
            << scaling << ", " << place << ": " << name;
        changed += tensor.equal(own.weights.at(name)) ? 0 : 1;
      }
      EXPECT_GT(changed, 10);
    }
  }
  expect_parts(
      error_of([&] { load_lora(folder / "plain/peft", "unet", own.weights); }),
      {"name the folder", folder / "plain/peft/style"});
}

TEST(LoraFormats, ThatAreNotReadSayWhatToDo) {
  const Adapted own;
  const auto error = [&](const std::string& name, at::IntArrayRef shape) {
    return error_of([&] {
      lora_of_others({{name, at::ones(shape)}}, "unet", own.weights, "x.st");
    });
  };
  const std::string layer = "mid_block_attentions_0_proj_in";
  expect_parts(error("lora_te_text_model_encoder_layers_0_mlp_fc1."
                     "lora_down.weight",
                     {4, 8}),
               {"x.st", "lora_te_", "text encoder", "fuse_lora"});
  expect_parts(error("text_encoder.a.lora_A.weight", {4, 8}),
               {"text encoder", "fuse_lora"});
  expect_parts(error("lora_unet_" + layer + ".hada_w1_a", {4, 8}),
               {"hada_", "another adapter", "fuse_lora"});
  expect_parts(
      error("lora_unet_input_blocks_1_1_proj_in.lora_down.weight", {4, 8}),
      {"no layer of the unet", "input_blocks_1_1"});
  expect_parts(error("lora_unet_" + layer + ".lora_down.weight", {4, 8, 3}),
               {"[4, 8, 3]", "a convolution", "fuse_lora"});
  expect_parts(error("lora_unet_" + layer + ".lora_mid.weight", {4, 4, 3, 3}),
               {layer, "lora_mid", "fuse_lora"});
  expect_parts(error("lora_unet_" + layer + ".lora_down.weight", {4, 8}),
               {"mid_block.attentions.0.proj_in", "is missing"});
  expect_parts(error("weight", {4, 8}), {"\"weight\"", "no part of a LoRA"});

  const std::string q = "mid_block.attentions.0.proj_in.lora_A.";
  expect_parts(error_of([&] {
                 lora_of_others({{q + "a.weight", at::ones({2, 8})},
                                 {q + "b.weight", at::ones({2, 8})}},
                                "unet", own.weights, "x.st");
               }),
               {"lora_A.b.weight", "there is another", "one adapter alone"});

  const TemporaryFolder folder;
  const auto of = [&](const std::string& path) {
    return error_of([&] { load_lora(path, "unet", own.weights); });
  };
  expect_parts(of(folder / "none"), {"none", "not there"});
  expect_parts(of(folder.path()), {"no safetensors file", "is nothing"});
  write_file_atomic(folder / "pytorch_lora_weights.bin", "x");
  expect_parts(of(folder.path()),
               {"pytorch_lora_weights.bin", "safe_serialization"});
  write_safetensors(folder / "a.safetensors", own.lora);
  write_safetensors(folder / "b.safetensors", own.lora);
  expect_parts(of(folder.path()),
               {"several files", "a.safetensors, b.safetensors"});
  fs::create_symlink("blobs/1", folder / "c.safetensors");
  expect_parts(of(folder / "c.safetensors"), {"leads nowhere"});
  write_file_atomic(folder / "adapter_config.json", "{}");
  expect_parts(of(folder.path()), {"no adapter_model.safetensors"});
}

TEST(LoraFormats, OfARealFileFitsStableDiffusion15) {
  const char* assets = std::getenv("RSM_ASSETS");
  if (assets == nullptr) GTEST_SKIP() << "RSM_ASSETS names no folder";
  const TemporaryFolder folder;
  write_json_atomic(folder / "config.json", sd15_unet_json());
  run_python("unet_peer.py",
             "shapes " + folder / "config.json" + " " + folder / "shapes.json");
  if (HasFailure()) return;
  StateDict weights;  // shapes alone take no memory
  const json shapes = read_json(folder / "shapes.json");
  for (const auto& [name, shape] : shapes.items()) {
    weights[name] = at::zeros({}).expand(shape.get<std::vector<int64_t>>());
  }
  const auto path =
      std::string(assets) + "/lora/catundchat_sd15_lora.safetensors";
  const auto file = load_lora(path, "unet", weights);
  EXPECT_EQ(file.config.rank, 4);
  EXPECT_EQ(load_lora_start(path, "unet", weights).config.targets,
            file.config.targets);
  const auto pairs = lora_pairs(file.tensors, 4, "test");
  // Sixteen transformers of two attentions with four layers.
  EXPECT_EQ(pairs.size(), 16U * 2 * 4);
  for (const auto& pair : pairs) {
    const auto& weight = weights.at(pair.module + ".weight");
    EXPECT_EQ(pair.up.size(0), weight.size(0)) << pair.module;
    EXPECT_EQ(pair.down.size(1), weight.size(1)) << pair.module;
  }
}

}  // namespace
}  // namespace rsm
