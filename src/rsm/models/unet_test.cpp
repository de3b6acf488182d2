#include "rsm/models/unet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/io/files.h"
#include "rsm/io/sharded.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

using nlohmann::json;

const std::vector<std::string> kTargets = {"to_q", "to_k", "to_v", "to_out.0"};

Unet load_unet(const std::string& folder) {
  const std::string config = folder + "/config.json";
  Unet model(UnetConfig::from_json(read_json(config), config));
  load_parameters(
      *model, view_sharded(folder, "diffusion_pytorch_model").tensors, folder);
  return model;
}

StateDict inputs() {
  return {{"x", test_normal(1, {2, 3, 9, 6})},
          {"timestep", at::tensor({981.0F, 20.25F})},
          {"tokens", test_normal(2, {2, 5, 10})}};
}

torch::Tensor output(Unet& model) {
  at::set_num_threads(1);
  const auto in = inputs();
  return model->forward(in.at("x"), in.at("timestep"), in.at("tokens"));
}

void save(Unet& model, const std::string& folder) {
  std::filesystem::create_directories(folder);
  write_json_atomic(folder + "/config.json", model->config().to_json());
  write_safetensors(folder + "/diffusion_pytorch_model.safetensors",
                    state_dict(*model), {{"format", "pt"}});
  write_safetensors(folder + "/in.safetensors", inputs());
}

/** Gradients of queries and keys are small differences of large sums: there
 * 2e-5 was seen in float32, where the same gap is 5e-14 in double. */
constexpr double kFloatGradient = 1e-4;
/** Both sides in double, but for the same float32 time features. */
constexpr double kDoubleTolerance = 1e-12;

/** Output and gradients in the type `kind` against the peer's in double. */
void compare(Unet& model, const StateDict& peer, torch::ScalarType kind,
             double tolerance, double gradient_tolerance) {
  StateDict leaves;
  for (const char* name : {"x", "tokens"}) {
    leaves[name] = peer.at(name).to(kind, false, true).requires_grad_(true);
  }
  model->zero_grad();
  model->to(kind);
  const auto out =
      model->forward(leaves.at("x"), peer.at("timestep"), leaves.at("tokens"));
  EXPECT_EQ(out.scalar_type(), kind);
  EXPECT_LT(relative(out.to(at::kDouble), peer.at("out")), tolerance);
  (out * peer.at("weight").to(kind)).sum().backward();
  StateDict gradients;
  for (const auto& [name, leaf] : leaves) {
    gradients[name] = leaf.grad();
  }
  for (const auto& item : model->named_parameters()) {
    gradients[item.key()] = item.value().grad();
  }
  EXPECT_EQ(gradients.size() + 6, peer.size());
  const auto [name, gap] = worst_gradient(gradients, peer);
  EXPECT_LT(gap, gradient_tolerance) << name;
}

TEST(Unet, HasTheOutputAndGradientsOfDiffusers) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  run_python("unet_peer.py", "models " + folder.path());
  EXPECT_EQ(folder.entries(), 14);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    SCOPED_TRACE(entry.path().filename().string());
    auto model = load_unet(entry.path().string());
    const auto peer = read_safetensors(entry.path() / "peer.safetensors");
    const auto rough =
        model->forward(peer.tensors.at("x"), peer.tensors.at("timestep"),
                       peer.tensors.at("tokens"));
    EXPECT_LT(relative(rough, peer.tensors.at("rough")), kFloatTolerance);
    compare(model, peer.tensors, at::kFloat, kFloatTolerance, kFloatGradient);
    compare(model, peer.tensors, at::kDouble, kDoubleTolerance,
            kDoubleTolerance);
  }
}

TEST(Unet, OpensInDiffusersAndGivesTheSameOutput) {
  const TemporaryFolder folder;
  auto model = random_unet();
  save(model, folder.path());
  run_python("unet_peer.py", "opens " + folder.path());
  if (HasFailure()) return;
  const auto peer = read_safetensors(folder / "out.safetensors").tensors;
  EXPECT_LT(relative(output(model), peer.at("out")), kFloatTolerance);
}

// No weight is written, so the system never hands out their 3.4 GB.
TEST(Unet, HasTheParametersOfStableDiffusion15) {
  const TemporaryFolder folder;
  write_json_atomic(folder / "config.json", sd15_unet_json());
  run_python("unet_peer.py",
             "shapes " + folder / "config.json" + " " + folder / "shapes.json");
  if (HasFailure()) return;
  const Unet model(UnetConfig::from_json(sd15_unet_json(), "config.json"));
  json shapes;
  int64_t count = 0;
  for (const auto& [name, tensor] : state_dict(*model)) {
    shapes[name] = tensor.sizes().vec();
    count += tensor.numel();
  }
  EXPECT_EQ(shapes, read_json(folder / "shapes.json"));
  EXPECT_EQ(shapes.size(), 686U);
  EXPECT_EQ(count, 859'520'964);
}

TEST(Unet, TakesEachRowByItself) {
  const torch::NoGradGuard no_grad;
  auto model = random_unet();
  const auto all = output(model);
  const auto in = inputs();
  for (int64_t i = 0; i < 2; ++i) {
    const auto row = [&](const char* name) {
      return in.at(name).narrow(0, i, 1);
    };
    const auto one = model->forward(row("x"), row("timestep"), row("tokens"));
    EXPECT_LT(relative(one, all.narrow(0, i, 1)), kFloatTolerance);
  }
}

TEST(Unet, ComputesInTheTypeOfItsWeights) {
  const torch::NoGradGuard no_grad;
  auto model = random_unet();
  const auto exact = output(model);
  model->to(at::kBFloat16);
  const auto rough = output(model);
  EXPECT_EQ(rough.scalar_type(), at::kBFloat16);
  // A few roundings to 8 bits in each of a dozen layers.
  EXPECT_LT(relative(rough.to(at::kFloat), exact), 0.05);
}

TEST(Unet, RefusesOtherShapes) {
  auto model = random_unet();
  const auto error = [&](const char* name, at::IntArrayRef shape) {
    return error_of([&] {
      auto in = inputs();
      in[name] = at::zeros(shape);
      model->forward(in.at("x"), in.at("timestep"), in.at("tokens"));
    });
  };
  expect_parts(error("x", {2, 4, 8, 8}), {"[Unet] latents", "[B,3,H,W]"});
  expect_parts(error("x", {3, 8, 8}), {"[Unet] latents"});
  expect_parts(error("timestep", {1}), {"[Unet] timesteps", "each of 2"});
  expect_parts(error("timestep", {}), {"[Unet] timesteps"});
  expect_parts(error("tokens", {2, 5, 12}), {"[Unet] tokens", "[2,L,10]"});
  expect_parts(error("tokens", {1, 5, 10}), {"[Unet] tokens"});
}

LoraConfig lora_config() {
  LoraConfig config = small_lora();
  config.targets = kTargets;
  return config;
}

/** Fails where PEFT's adapter with the same numbers gives another output. */
void expect_pefts_output(const LoraConfig& config, const json& targets,
                         size_t tensors) {
  const torch::NoGradGuard no_grad;
  const TemporaryFolder folder;
  auto model = random_unet();
  save(model, folder.path());
  const auto plain = output(model);
  LoraAdapter adapter(*model, config, 3);
  EXPECT_EQ(adapter.names().size(), tensors);
  EXPECT_TRUE(output(model).equal(plain));
  randomise(adapter, 5);
  const auto adapted = output(model);
  EXPECT_GT(relative(adapted, plain), 0.01);
  write_safetensors(folder / "lora.safetensors", adapter.state());
  write_json_atomic(
      folder / "lora.json",
      {{"rank", config.rank}, {"alpha", config.alpha}, {"targets", targets}});
  run_python("unet_peer.py", "lora " + folder.path());
  if (testing::Test::HasFailure()) return;
  const auto peer = read_safetensors(folder / "out.safetensors").tensors;
  EXPECT_LT(relative(adapted, peer.at("out")), kFloatTolerance);
}

TEST(UnetLora, IsPeftsOnDiffusersModel) {
  // Down 1 and up 2 + 2 transformers, and the middle's: each two attentions of
  // four layers of two tensors.
  expect_pefts_output(lora_config(), kTargets, 6U * 2 * 4 * 2);
}

TEST(UnetLora, OfAllLinearLayersIsPefts) {
  LoraConfig config = small_lora();
  config.targets = {kAllLinear};
  // Also two layers of each transformer's feed-forward, one of each of the
  // 1 + 1 + 2 + 2 + 2 residual blocks, two of the time; no convolution.
  expect_pefts_output(config, kAllLinear, 2U * (6 * (8 + 2) + 8 + 2));
}

LoraConfig of_convolutions() {
  LoraConfig config = small_lora();
  config.targets = {"proj_in", "proj_out",      "conv1",
                    "conv",    "conv_shortcut", "conv_in"};
  return config;
}

TEST(UnetLora, OfConvolutionsIsPefts) {
  // Two of each of 6 transformers, one of each of 8 residual blocks, another
  // where these change their width (all 4 on the way up, 1 down), 1 + 1
  // between levels, the first.
  expect_pefts_output(of_convolutions(), of_convolutions().targets,
                      2U * (6 * 2 + 8 + 5 + 2 + 1));
}

// As of linear layers, where kernels are rows of the weight's matrix.
TEST(UnetLora, OfConvolutionsHasTheGradientsOfMergedWeights) {
  auto model = random_unet(), copy = random_unet();
  LoraAdapter adapter(*model, of_convolutions(), 3);
  randomise(adapter, 5);
  load_parameters(*copy, adapter.merged(), "test");
  EXPECT_LT(relative(output(copy), output(model)), kFloatTolerance);
  output(model).square().sum().backward();
  output(copy).square().sum().backward();
  StateDict found, expected;
  const auto dense = copy->named_parameters();
  const double scale = of_convolutions().scale();
  for (const auto& pair : lora_pairs(adapter.state(), 8, "test")) {
    const auto gradient = dense[pair.module + ".weight"].grad().flatten(1);
    const auto down = pair.module + ".lora_A.weight";
    const auto up = pair.module + ".lora_B.weight";
    expected["grad." + down] = scale * at::mm(pair.up.t(), gradient);
    expected["grad." + up] = scale * at::mm(gradient, pair.down.t());
  }
  const auto parameters = adapter.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    found[adapter.names()[i]] = parameters[i].grad().flatten(1);
  }
  const auto [name, gap] = worst_gradient(found, expected);
  EXPECT_LT(gap, 1e-4) << name;
}

TEST(UnetLora, MergedIsTheSameModel) {
  const torch::NoGradGuard no_grad;
  auto model = random_unet();
  LoraAdapter adapter(*model, lora_config(), 3);
  randomise(adapter, 5);
  auto merged = random_unet();
  load_parameters(*merged, adapter.merged(), "test");
  EXPECT_LT(relative(output(merged), output(model)), kFloatTolerance);
}

TEST(UnetLora, AllOfItsTensorsGetGradients) {
  auto model = random_unet();
  LoraAdapter adapter(*model, lora_config(), 3);
  randomise(adapter, 5);
  output(model).square().sum().backward();
  const auto parameters = adapter.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    ASSERT_TRUE(parameters[i].grad().defined()) << adapter.names()[i];
    EXPECT_GT(parameters[i].grad().abs().max().item<double>(), 0)
        << adapter.names()[i];
  }
}

}  // namespace
}  // namespace rsm
