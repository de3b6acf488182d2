#include "rsm/train/flow_network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

constexpr int64_t kStates = 7, kWidth = 10;

FlowKnobs small_knobs() {
  FlowKnobs knobs;
  knobs.channels = {8, 8};
  knobs.lr = 0.01;
  return knobs;
}

class FlowNetworkOn : public OnDevice {
 protected:
  FlowNetwork network(int64_t workers = 1) const {
    return {small_knobs(), 3, kWidth, 5, device(), {2, workers}};
  }
  torch::Tensor values(FlowNetwork& of) const { return of.at(x_, t_, given_); }
  /** Steps down the squares of F - wanted. */
  void learn(FlowNetwork& of, int64_t updates) const {
    for (int64_t i = 0; i < updates; ++i) {
      of.update(x_, t_, given_, (values(of) - wanted_).to(at::kDouble));
    }
  }

  // A rollout's lie in host memory, the network where it computes.
  torch::Tensor x_ = test_normal(1, {kStates, 3, 8, 8});
  torch::Tensor t_ = at::linspace(0.1, 0.9, kStates);
  Condition given_ = {test_normal(2, {kStates, 5, kWidth}), {}};
  torch::Tensor wanted_ = test_normal(3, {kStates});
};
RSM_ON_EVERY_DEVICE(FlowNetworkOn);

TEST_P(FlowNetworkOn, LearnsToFollowItsSlope) {
  auto flow = network();
  const auto apart = [&] {
    return (values(flow) - wanted_).square().mean().item<double>();
  };
  const double before = apart();
  learn(flow, 60);
  EXPECT_EQ(values(flow).device(), torch::kCPU);
  EXPECT_LT(apart(), 0.3 * before);
}

TEST_P(FlowNetworkOn, ThreadsChangeNoBit) {
  auto one = network(1), two = network(3);
  learn(one, 3);
  learn(two, 3);
  if (repeats_its_bits()) {
    EXPECT_TRUE(values(one).equal(values(two)));
  } else {
    EXPECT_TRUE(at::allclose(values(one), values(two), 1e-2, 1e-3));
  }
}

TEST_P(FlowNetworkOn, GoesOnFromItsStateAsIfItHadNotStopped) {
  auto whole = network();
  learn(whole, 2);
  const auto state = whole.state();
  learn(whole, 2);
  auto other = network();
  learn(other, 1);  // what it learnt is forgotten
  other.load_state(state);
  learn(other, 2);
  if (repeats_its_bits()) {
    EXPECT_TRUE(values(other).equal(values(whole)));
  } else {
    EXPECT_TRUE(at::allclose(values(other), values(whole), 1e-2, 1e-3));
  }
  EXPECT_TRUE(state.contains("adamw.out.weight.step"));
}

TEST_P(FlowNetworkOn, ForgetsWhatItLearntSinceItBegan) {
  auto flow = network();
  const auto before = values(flow);
  const auto state = flow.state();
  learn(flow, 2);
  EXPECT_FALSE(values(flow).equal(before));
  flow.load_state(state);
  EXPECT_TRUE(values(flow).equal(before));
  EXPECT_EQ(flow.state().size(), state.size());  // no moments
}

TEST_P(FlowNetworkOn, RefusesWhatIsNotItsOwn) {
  auto flow = network();
  auto state = flow.state();
  state.erase("network.out.weight");
  expect_parts(error_of([&] { flow.load_state(state); }), {"out.weight"});
  const auto before = values(flow);
  expect_parts(error_of([&] {
                 flow.update(x_, t_, given_,
                             at::full({kStates}, std::nan(""), at::kDouble));
               }),
               {"[flow]", "not finite"});
  EXPECT_TRUE(values(flow).equal(before));
}

}  // namespace
}  // namespace rsm
