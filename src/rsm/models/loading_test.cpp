#include "rsm/models/loading.h"

#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <functional>
#include <set>

#include "rsm/io/testing.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

StateDict copies(const StateDict& tensors) {
  StateDict out;
  for (const auto& [name, tensor] : tensors) {
    out[name] = tensor.clone();
  }
  return out;
}

TEST(StateDictOfAModule, SharesItsMemoryAndHasItsBuffers) {
  auto model = random_sd3();
  const auto state = state_dict(*model);
  EXPECT_EQ(state.size(), model->parameters().size() + 1);
  EXPECT_EQ(state.count("pos_embed.pos_embed"), 1U);
  for (const auto& item : model->named_parameters()) {
    EXPECT_EQ(state.at(item.key()).data_ptr(), item.value().data_ptr());
    EXPECT_FALSE(state.at(item.key()).requires_grad());
  }
}

TEST(LoadParameters, CopiesEveryTensorInItsOwnType) {
  auto model = random_sd3();
  auto other = random_sd3();
  StateDict wanted;
  uint64_t index = 0;
  for (const auto& [name, tensor] : state_dict(*model)) {
    wanted[name] = test_normal(index++, tensor.sizes()).to(at::kHalf);
  }
  load_parameters(*model, wanted, "test");
  for (const auto& [name, tensor] : state_dict(*model)) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(tensor.equal(wanted.at(name).to(at::kFloat))) << name;
  }
  EXPECT_TRUE(model->parameters().front().requires_grad());
  // Copied, not shared: changing one leaves the other.
  load_parameters(*other, state_dict(*model), "test");
  load_parameters(*model, state_dict(*random_sd3()), "test");
  EXPECT_TRUE(state_dict(*other)
                  .at("proj_out.bias")
                  .equal(wanted.at("proj_out.bias").to(at::kFloat)));
}

TEST(LoadParameters, LeavesTheModuleUnchangedWhereTensorsDoNotFit) {
  auto model = random_sd3();
  const auto before = copies(state_dict(*model));
  const std::string name = "transformer_blocks.1.attn.to_q.weight";
  const auto error = [&](const std::function<void(StateDict&)>& change) {
    StateDict weights;
    for (const auto& [key, tensor] : before) {
      weights[key] = tensor + 1;
    }
    change(weights);
    const auto text =
        error_of([&] { load_parameters(*model, weights, "a/folder"); });
    expect_parts(text, {"[a/folder]"});
    return text;
  };
  expect_parts(error([&](auto& w) { w.erase(name); }),
               {"\"" + name + "\" is missing"});
  expect_parts(error([&](auto& w) {
                 w[name] = at::zeros({24, 23});
               }),
               {name, "[24, 23]", "[24, 24]"});
  expect_parts(error([&](auto& w) { w[name + "s"] = at::zeros({1}); }),
               {name + "s", "did it mean \"" + name + "\"?"});
  expect_parts(error([&](auto& w) { w["unlike_all"] = at::zeros({1}); }),
               {"\"unlike_all\" is not part of the model"});
  for (const auto& [key, tensor] : state_dict(*model)) {
    EXPECT_TRUE(tensor.equal(before.at(key))) << key;
  }
}

TEST(Converted, ChangesFloatingPointTensorsOnly) {
  const StateDict tensors = {{"float", at::tensor({1.0F, 2.0F})},
                             {"double", at::tensor({0.1}, at::kDouble)},
                             {"long", at::tensor({3}, at::kLong)},
                             {"bool", at::ones({1}, at::kBool)}};
  const auto out = converted(tensors, at::kBFloat16);
  EXPECT_EQ(out.at("float").scalar_type(), at::kBFloat16);
  EXPECT_EQ(out.at("double").scalar_type(), at::kBFloat16);
  EXPECT_EQ(out.at("long").scalar_type(), at::kLong);
  EXPECT_EQ(out.at("bool").scalar_type(), at::kBool);
  EXPECT_EQ(out.at("float")[1].item<double>(), 2);
}

TEST(TypeNamed, KnowsEveryNameItListsAndNoOther) {
  std::set<torch::ScalarType> types;
  for (const auto& name : type_names()) types.insert(type_named(name));
  EXPECT_EQ(types.size(), type_names().size());
  expect_parts(error_of([] { type_named("bfloat"); }), {"bfloat", "float16"});
}

TEST(DeviceNamed, KnowsTheCpuAndGpusOnly) {
  EXPECT_EQ(device_named("cpu"), torch::kCPU);
  EXPECT_EQ(device_named("cuda:3"), torch::Device(torch::kCUDA, 3));
  for (const std::string name :
       {"", "gpu", "mps", "meta", "xla", "cpu:0", "cuda:", "cuda:-1", "CUDA",
        "hip", "cuda:1:1"}) {
    expect_parts(error_of([&] { device_named(name); }),
                 {"\"" + name + "\"", "cpu, cuda and cuda:N"});
  }
}

TEST(RequireDevice, RefusesWhatIsNotThere) {
  require_device(torch::kCPU);
  const torch::Device beyond(torch::kCUDA, 99);
  expect_parts(error_of([&] { require_device(beyond); }), {"cuda:99"});
  EXPECT_THROW(require_device(beyond), UsageError);
  if (torch::cuda::is_available()) {
    require_device(torch::kCUDA);
  } else {
    expect_parts(error_of([] { require_device(torch::kCUDA); }),
                 {"cuda was asked for", "CPU"});
  }
}

}  // namespace
}  // namespace rsm
