#include "rsm/models/sd3_transformer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

#include "rsm/base/testing.h"
#include "rsm/io/files.h"
#include "rsm/io/sharded.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

Sd3Transformer load_sd3(const std::string& folder) {
  const std::string config = folder + "/config.json";
  Sd3Transformer model(Sd3Config::from_json(read_json(config), config));
  load_parameters(
      *model, view_sharded(folder, "diffusion_pytorch_model").tensors, folder);
  return model;
}

void compare_with_peer(const std::string& folder, torch::Device device) {
  auto model = load_sd3(folder);
  model->to(device);
  auto peer = read_safetensors(folder + "/peer.safetensors").tensors;
  for (auto& [name, tensor] : peer) {
    tensor = tensor.to(device);
  }
  const auto& timestep = peer.at("timestep");
  const auto rough = model->forward(peer.at("x"), timestep, peer.at("tokens"),
                                    peer.at("pooled"));
  // A GPU's convolutions have TF32's ten bits.
  EXPECT_LT(relative(rough, peer.at("rough")),
            device.is_cpu() ? kFloatTolerance : 1e-3);
  model->to(at::kDouble);
  // In double, but for diffusers' float32 variance in its RMS norm, and for the
  // sines of times, in float32 in both, whose last bits a GPU has otherwise.
  const double on_cpu = model->config().qk_rms_norm ? 1e-6 : 1e-11;
  const double tolerance = device.is_cpu() ? on_cpu : 1e-4;
  StateDict leaves;
  for (const char* name : {"x", "tokens", "pooled"}) {
    leaves[name] = peer.at(name).to(at::kDouble).requires_grad_(true);
  }
  const auto velocity = model->forward(
      leaves.at("x"), timestep, leaves.at("tokens"), leaves.at("pooled"));
  EXPECT_LT(relative(velocity, peer.at("out")), tolerance);
  (velocity * peer.at("weight")).sum().backward();
  StateDict gradients;
  for (const auto& [name, leaf] : leaves) {
    gradients[name] = leaf.grad();
  }
  for (const auto& item : model->named_parameters()) {
    gradients[item.key()] = item.value().grad();
  }
  EXPECT_EQ(gradients.size() + 7, peer.size());
  const auto [name, gap] = worst_gradient(gradients, peer);
  EXPECT_LT(gap, tolerance) << name;
}

class Sd3TransformerOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(Sd3TransformerOn);

TEST_P(Sd3TransformerOn, HasTheVelocityAndGradientsOfDiffusers) {
  const TemporaryFolder folder;
  run_python("sd3_peer.py", "models " + folder.path());
  EXPECT_EQ(folder.entries(), 11);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    SCOPED_TRACE(entry.path().filename().string());
    compare_with_peer(entry.path().string(), device());
  }
}

// The file has diffusers' positions, computed in double and then rounded.
TEST(Sd3Transformer, HasThePositionsOfDiffusers) {
  const TemporaryFolder folder;
  run_python("sd3_peer.py", "models " + folder.path());
  for (const char* name : {"patch_1", "more_out_than_in", "in_shards"}) {
    const std::string path = folder / name;
    const Sd3Transformer model(
        Sd3Config::from_json(read_json(path + "/config.json"), path));
    const auto saved = view_sharded(path, "diffusion_pytorch_model").tensors;
    const auto gap = state_dict(*model).at("pos_embed.pos_embed") -
                     saved.at("pos_embed.pos_embed");
    EXPECT_LE(gap.abs().max().item<double>(), 1e-6) << name;
  }
}

TEST(Sd3Transformer, TakesEachRowByItself) {
  const torch::NoGradGuard no_grad;
  auto model = random_sd3();
  const auto all = velocity(model);
  const auto in = sd3_inputs();
  for (int64_t i = 0; i < 2; ++i) {
    const auto row = [&](const char* name) {
      return in.at(name).narrow(0, i, 1);
    };
    const auto one =
        model->forward(row("x"), row("timestep"), row("tokens"), row("pooled"));
    EXPECT_LT(relative(one, all.narrow(0, i, 1)), kFloatTolerance);
  }
}

TEST(Sd3Transformer, ComputesInTheTypeOfItsWeights) {
  const torch::NoGradGuard no_grad;
  auto model = random_sd3();
  const auto exact = velocity(model);
  model->to(at::kDouble);
  EXPECT_LT(relative(velocity(model), exact.to(at::kDouble)), kFloatTolerance);
  model->to(at::kBFloat16);
  const auto rough = velocity(model);
  EXPECT_EQ(rough.scalar_type(), at::kBFloat16);
  // A few roundings to 8 bits in each of two blocks.
  EXPECT_LT(relative(rough.to(at::kFloat), exact), 0.05);
}

TEST(Sd3Transformer, RefusesLatentsItHasNoPositionsFor) {
  auto model = random_sd3();
  const auto error = [&](int64_t height, int64_t width) {
    return error_of([&] {
      const auto in = sd3_inputs();
      model->forward(at::zeros({2, 3, height, width}), in.at("timestep"),
                     in.at("tokens"), in.at("pooled"));
    });
  };
  expect_parts(error(8, 7), {"[Sd3Transformer]", "8x7", "multiples", "2"});
  expect_parts(error(14, 8), {"14x8", "at most 12"});
}

json small_json() { return small_sd3_config().to_json(); }

TEST(Sd3Config, HasTheDefaultsOfDiffusers) {
  const TemporaryFolder folder;
  run_python("sd3_peer.py", "defaults " + folder / "defaults.json");
  json defaults = read_json(folder / "defaults.json");
  defaults["_class_name"] = "SD3Transformer2DModel";
  defaults["_diffusers_version"] = small_json()["_diffusers_version"];
  EXPECT_EQ(Sd3Config().to_json(), defaults);
  EXPECT_EQ(Sd3Config::from_json(json::object(), "x").to_json(), defaults);
  defaults["in_channels"] = 4;
  EXPECT_EQ(Sd3Config::from_json(defaults, "x").out_channels, 16);
  defaults.erase("out_channels");
  EXPECT_EQ(Sd3Config::from_json(defaults, "x").out_channels, 16);
  defaults["out_channels"] = nullptr;
  EXPECT_EQ(Sd3Config::from_json(defaults, "x").out_channels, 4);
}

TEST(Sd3Config, ComesBackFromJson) {
  EXPECT_EQ(Sd3Config::from_json(small_json(), "x").to_json(), small_json());
  json more = small_json();
  more.update({{"_name_or_path", "a/b"}, {"torch_dtype", "float16"}});
  EXPECT_EQ(Sd3Config::from_json(more, "x").to_json(), small_json());
}

TEST(Sd3Config, ThatIsImpossibleIsAnError) {
  const auto error = [](const json& change) {
    json config = small_json();
    config.update(change);
    const auto text =
        error_of([&] { Sd3Config::from_json(config, "a/config.json"); });
    expect_parts(text, {"[Sd3Config] a/config.json", change.begin().key()});
    return text;
  };
  expect_parts(error({{"num_layer", 2}}), {"did you mean \"num_layers\""});
  error({{"flow_shift", 3}});
  for (const json& bad : {json(0), json(-8), json(2.5), json("8"), json(true),
                          json(nullptr), json::array({8})}) {
    expect_parts(error({{"num_attention_heads", bad}}),
                 {bad.dump(), "integer"});
  }
  expect_parts(error({{"out_channels", 0}}), {"at least 1"});
  expect_parts(error({{"dual_attention_layers", 3}}), {"list of integers"});
  expect_parts(error({{"dual_attention_layers", {1.5}}}), {"list of integers"});
  expect_parts(error({{"qk_norm", "layer_norm"}}), {"rms_norm"});
  expect_parts(error({{"caption_projection_dim", 25}}), {"= 24"});
  expect_parts(error({{"num_attention_heads", 4}}), {"24", "= 32"});
  expect_parts(error({{"patch_size", 3}}), {"sample_size 8", "whole patches"});
  expect_parts(error({{"sample_size", 14}}), {"pos_embed_max_size 6"});
  expect_parts(error_of([] { Sd3Config::from_json(json(3), "b.json"); }),
               {"b.json", "number"});
  json narrow = small_json();
  narrow.update({{"attention_head_dim", 6},
                 {"num_attention_heads", 1},
                 {"caption_projection_dim", 6}});
  expect_parts(error_of([&] { Sd3Config::from_json(narrow, "x"); }),
               {"multiple of 4"});
}

}  // namespace
}  // namespace rsm
