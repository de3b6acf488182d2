#include "rsm/models/image_model.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"
#include "rsm/paths/ddim.h"
#include "rsm/pretrain/pretrain.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::vector<std::string> kPrompts = {
    "", "a red circle",
    "four squares and a strange unknown-word, at length: "
    "one two three four five six",
    "a Blue cross left of a circle"};

const std::vector<Family> kFamilies = {Family::flow, Family::diffusion};

/** A small model of the shapes world in which no weight is silent. */
ImageModel random_shapes_model(const std::string& folder,
                               Family family = Family::flow) {
  PretrainOptions options;
  options.family = family;
  options.channels = {8, 16};
  options.width = 32;
  options.layers = 2;
  options.heads = 2;
  ImageModel model = new_shapes_model(options, folder);
  const torch::NoGradGuard no_grad;
  uint64_t index = 0;
  for (auto& p : model.network->parameters()) {
    if (p.count_nonzero().item<int64_t>() == 0) {
      p.copy_(test_normal(index++, p.sizes()) * 0.2);
    }
  }
  return model;
}

torch::Tensor latents(const ImageModel& model) {
  auto shape = model.latent_shape();
  shape.insert(shape.begin(), static_cast<int64_t>(kPrompts.size()));
  return test_normal(50, shape);
}

/** Whole timesteps: a UNet takes no others. */
torch::Tensor timesteps() { return at::tensor({999.0F, 913.0F, 500.0F, 8.0F}); }

torch::Tensor output(const ImageModel& model, const Condition& condition) {
  return model.network->predict(latents(model), timesteps() / 1000, condition);
}

/** The folder is the same model here, in diffusers and in transformers. */
void check_folder(const std::string& folder) {
  ASSERT_TRUE(fs::exists(folder)) << folder << " is missing";
  const torch::NoGradGuard no_grad;
  auto model = ImageModel::load(folder);
  const TemporaryFolder work;
  write_json_atomic(work / "prompts.json", kPrompts);
  write_safetensors(work / "inputs.safetensors",
                    {{"x", latents(model)}, {"timestep", timesteps()}});
  run_python("image_model_peer.py", "'" + folder + "' " + work.path());
  const auto peer = read_safetensors(work / "peer.safetensors").tensors;
  EXPECT_TRUE(
      model.text->tokenizer().encode_batch(kPrompts).equal(peer.at("ids")));
  const auto condition = model.text->encode(kPrompts);
  EXPECT_LT(relative(condition.tokens, peer.at("tokens")), kFloatTolerance);
  EXPECT_EQ(condition.pooled.defined(), model.path->family() == Family::flow);
  if (condition.pooled.defined()) {
    EXPECT_LT(relative(condition.pooled, peer.at("pooled")), kFloatTolerance);
  }
  EXPECT_LT(relative(output(model, condition), peer.at("out")),
            kFloatTolerance);
  const auto times = at::tensor(model.path->times(10), at::kDouble);
  // diffusers keeps its times in float32.
  EXPECT_LT(relative(times, peer.at("times").to(at::kDouble)), 2e-7);
}

TEST(ImageModel, ComesBackBitForBit) {
  const torch::NoGradGuard no_grad;
  for (const auto family : kFamilies) {
    const TemporaryFolder folder;
    auto model = random_shapes_model(folder / "a", family);
    model.save(folder / "a", at::kFloat);
    auto once = ImageModel::load(folder / "a");
    once.save(folder / "b", at::kFloat);
    auto twice = ImageModel::load(folder / "b");
    const auto wanted = model.text->encode(kPrompts);
    for (auto* other : {&once, &twice}) {
      const auto found = other->text->encode(kPrompts);
      EXPECT_TRUE(found.tokens.equal(wanted.tokens));
      EXPECT_TRUE(output(*other, found).equal(output(model, wanted)));
      EXPECT_EQ(other->path->times(10), model.path->times(10));
      EXPECT_EQ(other->path->family(), family);
    }
    for (const auto& entry : fs::recursive_directory_iterator(folder / "a")) {
      if (!entry.is_regular_file()) continue;
      const auto name = fs::relative(entry.path(), folder / "a").string();
      EXPECT_EQ(read_file(folder / "b/" + name),
                read_file(entry.path().string()))
          << name;
    }
  }
}

TEST(ImageModel, OfTheShapesWorldIsReadByDiffusers) {
  for (const auto family : kFamilies) {
    const TemporaryFolder folder;
    random_shapes_model(folder.path(), family).save(folder.path(), at::kFloat);
    check_folder(folder.path());
  }
}

TEST(ImageModel, ThatShipsIsReadByDiffusers) {
  for (const char* name : {"shapes-flow", "shapes-diffusion"}) {
    check_folder(cat(RSM_SOURCE_DIR, "/models/", name));
  }
}

TEST(ImageModel, IsSavedInTheTypeAskedFor) {
  const TemporaryFolder folder;
  random_shapes_model(folder.path()).save(folder.path(), at::kBFloat16);
  for (const char* path : {"transformer/diffusion_pytorch_model.safetensors",
                           "text_encoder/model.safetensors"}) {
    for (const auto& [name, tensor] : read_safetensors(folder / path).tensors) {
      EXPECT_EQ(tensor.scalar_type(), at::kBFloat16) << name;
    }
  }
  const auto model = ImageModel::load(folder.path());
  for (const auto& p : model.network->parameters()) {
    EXPECT_EQ(p.scalar_type(), at::kFloat);
  }
}

TEST(ImageModel, ThatIsDamagedIsAnError) {
  const TemporaryFolder folder;
  random_shapes_model(folder.path()).save(folder.path(), at::kFloat);
  const auto error = [&](const std::string& file,
                         const std::function<void(json&)>& change) {
    const std::string path = folder / file;
    const std::string kept = read_file(path);
    json value = json::parse(kept);
    change(value);
    write_json_atomic(path, value);
    const auto text = error_of([&] { ImageModel::load(folder.path()); });
    EXPECT_EQ(error_of([&] { check_model(folder.path()); }), text);
    write_file_atomic(path, kept);
    return text;
  };
  const std::string index = "model_index.json";
  expect_parts(error(index,
                     [](json& j) {
                       j["vae"] = {"diffusers", "AutoencoderKL"};
                     }),
               {"vae/config.json"});
  expect_parts(error(index,
                     [](json& j) {
                       j["unet"] = {"diffusers", "UNet3DConditionModel"};
                     }),
               {index, "UNet3DConditionModel", "UNet2DConditionModel"});
  expect_parts(
      error(index, [](json& j) { j["transformer"][1] = "FluxTransformer"; }),
      {index, "transformer", "FluxTransformer", "SD3Transformer2DModel"});
  expect_parts(error(index, [](json& j) { j.erase("scheduler"); }),
               {index, "scheduler", "FlowMatchEulerDiscreteScheduler"});
  expect_parts(
      error(index,
            [](json& j) { j["scheduler"][1] = "DPMSolverMultistepScheduler"; }),
      {index, "DPMSolverMultistepScheduler", "DDIMScheduler with"});
  expect_parts(
      error("transformer/config.json", [](json& j) { j["num_layers"] = 3; }),
      {"transformer", "transformer_blocks.", "missing"});
  expect_parts(error("text_encoder/config.json",
                     [](json& j) { j["projection_dim"] = 9; }),
               {"text_encoder", "text_projection.weight", "[9, 32]"});
  expect_parts(error("scheduler/scheduler_config.json",
                     [](json& j) { j["use_karras_sigmas"] = true; }),
               {"use_karras_sigmas"});
  expect_parts(error("scheduler/scheduler_config.json",
                     [](json& j) { j = DdimSchedule{}.to_json(); }),
               {"scheduler_config.json", "another family",
                "FlowMatchEulerDiscreteScheduler"});
  EXPECT_NO_THROW(check_model(folder.path()));
  fs::remove(folder / "transformer/diffusion_pytorch_model.safetensors");
  expect_parts(error_of([&] { ImageModel::load(folder.path()); }),
               {"/transformer", "no diffusion_pytorch_model.safetensors"});
  fs::remove(folder / index);
  expect_parts(error_of([&] { ImageModel::load(folder.path()); }),
               {folder.path(), index});
}

TEST(ImageModel, WithoutTokenizerFilesIsNotSaved) {
  const TemporaryFolder folder;
  auto model = random_shapes_model(folder / "a");
  model.text = std::make_shared<TextEncoders>(
      model.text->clip(), model.text->tokenizer(), folder / "nowhere");
  expect_parts(error_of([&] { model.save(folder / "b", at::kFloat); }),
               {"nowhere", "needed to save"});
  EXPECT_FALSE(fs::exists(folder / "b/model_index.json"));
}

TEST(CopyOf, SharesNothingAndHasTheTypeAskedFor) {
  const torch::NoGradGuard no_grad;
  auto model = random_sd3();
  const auto before = velocity(model);
  const auto copy = copy_of(model.ptr(), at::kFloat, at::kCPU);
  for (const auto& [name, tensor] : state_dict(*copy)) {
    EXPECT_TRUE(tensor.equal(state_dict(*model).at(name))) << name;
  }
  for (auto& p : copy->parameters()) {
    p.zero_();
  }
  EXPECT_TRUE(velocity(model).equal(before));
  const auto rough = copy_of(model.ptr(), at::kBFloat16, at::kCPU);
  for (const auto& [name, tensor] : state_dict(*rough)) {
    EXPECT_EQ(tensor.scalar_type(), at::kBFloat16) << name;
    EXPECT_TRUE(tensor.equal(state_dict(*model).at(name).to(at::kBFloat16)));
  }
}

TEST(ToImages, MapsLatentsToUnitRangeAndClamps) {
  const auto images =
      pixel_decoder()->decode(at::tensor({-2.0F, -1.0F, 0.0F, 0.5F, 3.0F}));
  EXPECT_TRUE(images.equal(at::tensor({0.0F, 0.0F, 0.5F, 0.75F, 1.0F})));
}

}  // namespace
}  // namespace rsm
