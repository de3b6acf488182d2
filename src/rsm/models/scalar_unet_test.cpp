#include "rsm/models/scalar_unet.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/initial_values.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

constexpr int64_t kWidth = 10;  // of tokens

ScalarUnet some_network() {
  const torch::NoGradGuard no_grad;
  ScalarUnet network(scalar_unet_config(3, kWidth, {8, 16}, 1));
  uint64_t index = 0;
  for (const auto& item : network->named_parameters()) {
    set_initial_value(item.key(), item.value(), ++index);
  }
  return network;
}

class ScalarUnetOn : public OnDevice {
 protected:
  torch::Tensor numbers(uint64_t index, at::IntArrayRef shape) const {
    return test_normal(index, shape).to(device());
  }
  Condition condition() const { return {numbers(2, {3, 5, kWidth}), {}}; }
  torch::Tensor times() const {
    return at::tensor({0.9F, 0.5F, 0.1F}).to(device());
  }
};
RSM_ON_EVERY_DEVICE(ScalarUnetOn);

TEST_P(ScalarUnetOn, IsANumberOfAllItIsGivenRowByRow) {
  auto network = some_network();
  network->to(device());
  const torch::NoGradGuard no_grad;
  const auto x = numbers(1, {3, 3, 9, 12});
  const auto y = network->predict(x, times(), condition());
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{3, 1, 1, 1}));
  const auto moved = [&](const torch::Tensor& change) {
    return change.flatten().abs() > 1e-4;
  };
  const auto other = network->predict(-x, times(), condition());
  EXPECT_TRUE(moved(other - y).all().item<bool>());
  EXPECT_TRUE(
      moved(network->predict(x, 1 - times(), condition()) - y)[0].item<bool>());
  EXPECT_TRUE(moved(network->predict(x, times(), {-condition().tokens, {}}) - y)
                  .all()
                  .item<bool>());
  const auto first = network->predict(x.slice(0, 1, 2), times().slice(0, 1, 2),
                                      {condition().tokens.slice(0, 1, 2), {}});
  EXPECT_LT(relative(first[0], y[1]), kFloatTolerance);
}

TEST_P(ScalarUnetOn, CheckpointingChangesNoGradient) {
  auto network = some_network();
  network->to(device());
  const auto gradients = [&](bool checkpointed) {
    network->set_activation_checkpointing(checkpointed);
    const auto y =
        network->predict(numbers(1, {3, 3, 8, 8}), times(), condition());
    return torch::autograd::grad({y.sum()}, network->parameters());
  };
  const auto plain = gradients(false), checkpointed = gradients(true);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_GT(plain[i].abs().max().item<double>(), 0) << i;
    EXPECT_TRUE(at::allclose(plain[i], checkpointed[i], 1e-4, 1e-6)) << i;
  }
}

TEST_P(ScalarUnetOn, GoesThroughTilesLikeAnyNetwork) {
  auto network = some_network();
  network->to(device());
  GuidedNetwork tiled(network.ptr(), {}, 1, {2, 2});
  const auto x = numbers(1, {3, 3, 8, 8});
  const auto given = condition();
  const auto y = tiled.predict(x, times(), given);
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{3, 1, 1, 1}));
  const torch::NoGradGuard no_grad;
  EXPECT_LT(relative(y, network->predict(x, times(), given)), kFloatTolerance);
}

/** Beside the shipped models' own 1 to 2 million. */
TEST(ScalarUnet, OfTheUsualSizeHasSomeTenThousandParameters) {
  const ScalarUnet network(scalar_unet_config(3, 128, {8, 8, 8, 16}, 1));
  int64_t count = 0;
  for (const auto& p : network->parameters()) count += p.numel();
  EXPECT_GT(count, 10000);
  EXPECT_LT(count, 40000);
}

TEST(ScalarUnet, RefusesOtherShapes) {
  auto network = some_network();
  expect_parts(error_of([&] {
                 network->predict(at::zeros({1, 4, 8, 8}), at::zeros({1}),
                                  {at::zeros({1, 5, kWidth}), {}});
               }),
               {"[ScalarUnet]", "[B,3,H,W]"});
}

}  // namespace
}  // namespace rsm
