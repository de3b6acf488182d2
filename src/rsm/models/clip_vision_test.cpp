#include "rsm/models/clip_vision.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/** Numbers of bfloat16 are good to 2^-9. */
constexpr double kHalfTolerance = 2e-2;

ClipVisionConfig small_config() {
  ClipVisionConfig config;
  config.hidden_size = 12;
  config.intermediate_size = 20;
  config.projection_dim = 7;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 3;
  config.image_size = 9;
  config.patch_size = 4;
  return config;
}

torch::Tensor small_pixels() { return test_normal(900, {2, 3, 9, 9}); }

ClipVisionModel random_tower() {
  ClipVisionModel model(small_config());
  fill(*model, 0, 0.3, 0.3);
  return model;
}

ClipVisionModel load(const std::string& folder) {
  const std::string path = folder + "/config.json";
  ClipVisionModel model(ClipVisionConfig::from_json(read_json(path), path));
  const auto weights = clip_vision_names(
      read_safetensors(folder + "/model.safetensors").tensors);
  load_parameters(*model, weights, folder);
  return model;
}

void save_ours(const std::string& folder) {
  const auto model = random_tower();
  fs::create_directories(folder);
  write_json_atomic(folder + "/config.json", model->config().to_json());
  write_safetensors(folder + "/model.safetensors", state_dict(*model),
                    {{"format", "pt"}});
  write_safetensors(folder + "/pixels.safetensors",
                    {{"pixels", small_pixels()}});
}

std::vector<std::pair<std::string, torch::Tensor>> by_name(
    const ClipVisionOutput& out) {
  return {{"image_embeds", out.image_embeds},
          {"last_hidden_state", out.last_hidden_state},
          {"penultimate", out.penultimate},
          {"pooled", out.pooled}};
}

void expect_outputs(const ClipVisionOutput& out, const StateDict& peer) {
  for (const auto& [name, found] : by_name(out)) {
    const auto& wanted = peer.at("output." + name);
    ASSERT_EQ(found.sizes(), wanted.sizes()) << name;
    EXPECT_LT(relative(found, wanted), kFloatTolerance) << name;
  }
}

/** A constant in all keys changes no attention: the gradient of their bias is
 * rounding alone, measured by that of their weight. */
void expect_gradient(const std::string& name, const torch::Tensor& found,
                     const StateDict& peer) {
  std::string measure = "grad." + name;
  if (const auto at = measure.find("k_proj.bias"); at < measure.size()) {
    measure.replace(at, std::string::npos, "k_proj.weight");
  }
  const double scale = peer.at(measure).abs().max().item<double>();
  const double gap =
      (found - peer.at("grad." + name)).abs().max().item<double>();
  EXPECT_LE(gap, kFloatTolerance * scale) << name;
}

void expect_case(const std::string& folder) {
  SCOPED_TRACE(fs::path(folder).filename().string());
  const auto peer = read_safetensors(folder + "/peer.safetensors").tensors;
  auto model = load(folder);
  const auto pixels = peer.at("pixels").clone().requires_grad_(true);
  const auto out = model(pixels);
  expect_outputs(out, peer);
  auto loss = at::zeros({});
  for (const auto& [name, found] : by_name(out)) {
    loss = loss + (found * peer.at("weight." + name)).sum();
  }
  loss.backward();
  expect_gradient("pixels", pixels.grad(), peer);
  for (const auto& item : model->named_parameters()) {
    expect_gradient(item.key(), item.value().grad(), peer);
  }
  const torch::NoGradGuard no_grad;
  model->to(at::kBFloat16);
  EXPECT_LT(relative(model(peer.at("pixels")).image_embeds.to(at::kFloat),
                     peer.at("bfloat16").to(at::kFloat)),
            kHalfTolerance);
}

TEST(ClipVision, IsTransformersModel) {
  const TemporaryFolder out;
  save_ours(out / "ours");
  run_python("clip_vision_peer.py", out.path());
  for (const char* name : {"quick", "left_over", "one_layer", "whole",
                           "random_0", "random_1", "random_2", "random_3"}) {
    expect_case(out / name);
  }
  const torch::NoGradGuard no_grad;
  expect_outputs(random_tower()(small_pixels()),
                 read_safetensors(out / "ours/peer.safetensors").tensors);
}

TEST(ClipVisionConfig, SurvivesItsJsonAndBoundsItsModel) {
  auto config = small_config();
  config.hidden_act = "gelu";
  config.layer_norm_eps = 1e-3;
  const json written = config.to_json();
  EXPECT_EQ(ClipVisionConfig::from_json(written).to_json(), written);
  EXPECT_EQ(ClipVisionConfig::from_json(json::object()).to_json(),
            ClipVisionConfig().to_json());
  const auto weights = state_dict(*ClipVisionModel(config));
  for (const auto& [name, shape] : config.anchors()) {
    EXPECT_EQ(weights.at(name).sizes(), shape) << name;
  }
}

TEST(ClipVisionConfig, NamesTheKeyItCannotTake) {
  const std::vector<std::pair<json, std::string>> wrong = {
      {{{"hidden_size", 10}, {"num_attention_heads", 4}}, "hidden_size is 10"},
      {{{"patch_size", 225}}, "patch_size is 225"},
      {{{"image_size", "large"}}, "image_size is \"large\""},
      {{{"model_type", "clip"}, {"vision_config", {{"patch_size", 0}}}},
       "vision_config: patch_size is 0"},
      {json::array(), "my.json holds: array"},
  };
  for (const auto& [value, said] : wrong) {
    expect_parts(error_of([&, &v = value] {
                   ClipVisionConfig::from_json(v, "my.json");
                 }),
                 {"my.json", said});
  }
}

TEST(ClipVision, RefusesPicturesOfAnotherSize) {
  ClipVisionModel model(small_config());
  for (const auto& pixels :
       {at::zeros({2, 3, 9, 8}), at::zeros({2, 1, 9, 9}), at::zeros({3, 9, 9}),
        at::zeros({2, 3, 9, 9}, at::kByte)}) {
    expect_parts(error_of([&] { model(pixels); }),
                 {"[ClipVisionModel] pixels"});
  }
}

}  // namespace
}  // namespace rsm
