#include "rsm/train/scalar_network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/surrogate_knobs.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

constexpr int64_t kStates = 7, kWidth = 10;

ScalarNetworkKnobs small_knobs() {
  ScalarNetworkKnobs knobs;
  knobs.channels = {8, 8};
  knobs.lr = 0.01;
  return knobs;
}

class ScalarNetworkOn : public OnDevice {
 protected:
  ScalarNetwork network(int64_t workers = 1) const {
    return {ScalarNetwork::Of::flow,
            small_knobs(),
            *random_unet(),
            5,
            device(),
            {2, workers}};
  }
  torch::Tensor values(ScalarNetwork& of) const {
    return of.at(x_, t_, given_);
  }
  /** Steps down the squares of F - wanted. */
  void learn(ScalarNetwork& of, int64_t updates) const {
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
RSM_ON_EVERY_DEVICE(ScalarNetworkOn);

TEST_P(ScalarNetworkOn, LearnsToFollowItsSlope) {
  auto scalar = network();
  const auto apart = [&] {
    return (values(scalar) - wanted_).square().mean().item<double>();
  };
  const double before = apart();
  learn(scalar, 60);
  EXPECT_EQ(values(scalar).device(), torch::kCPU);
  EXPECT_LT(apart(), 0.3 * before);
}

TEST_P(ScalarNetworkOn, HasTheSlopeOfFiniteDifferences) {
  auto scalar = network();
  learn(scalar, 5);
  const auto slope = scalar.slope(x_, t_, given_);
  EXPECT_EQ(slope.sizes(), x_.sizes());
  EXPECT_EQ(slope.device(), torch::kCPU);
  const auto along = test_normal(4, x_.sizes());
  const auto expected = (slope * along).flatten(1).sum(1);
  // Differences of float32: a larger step bends, a smaller one rounds.
  constexpr double kStep = 1e-2;
  const auto moved = [&](double by) {
    return scalar.at(x_ + by * along, t_, given_);
  };
  const auto found = (moved(kStep) - moved(-kStep)) / (2 * kStep);
  EXPECT_GT(expected.abs().max().item<double>(), 0.1);
  EXPECT_LT(relative(found, expected), 0.02);
}

/** Of pictures it has not seen: how bright one channel is beside another. */
TEST_P(ScalarNetworkOn, LearnsWhatItCanSeeInALatent) {
  ScalarNetwork scalar(ScalarNetwork::Of::surrogate, small_knobs(),
                       *random_unet(), 5, device(), {16, 2});
  const auto wanted = [](const torch::Tensor& x) {
    return (x.select(1, 0) - x.select(1, 1)).flatten(1).mean(1);
  };
  constexpr int64_t kPictures = 32;
  const Condition same = {test_normal(2, {1, 5, kWidth}), {}};
  const ConditionRows given(same, at::zeros({kPictures}, at::kLong));
  const auto t = at::zeros({kPictures});
  const auto pictures = [](uint64_t index) {
    return test_normal(index, {kPictures, 3, 8, 8}) +
           0.5 * test_normal(index + 1, {kPictures, 3, 1, 1});
  };
  for (uint64_t update = 0; update < 60; ++update) {
    const auto x = pictures(100 + 2 * update);
    scalar.update(x, t, given,
                  2 * (scalar.at(x, t, given) - wanted(x)) / kPictures);
  }
  const auto unseen = pictures(10);
  const auto both = at::stack({scalar.at(unseen, t, given), wanted(unseen)});
  EXPECT_GT(at::corrcoef(both)[0][1].item<double>(), 0.8);
}

/** Rewards are standardised: from scores that are far larger there is a long
 * way back. */
TEST_P(ScalarNetworkOn, OfASurrogateBeginsNear0) {
  const auto largest = [&](ScalarNetwork::Of whose) {
    ScalarNetwork scalar(whose, SurrogateKnobs(), *random_unet(), 5, device(),
                         {4, 2});
    const Condition given = {test_normal(2, {4, 5, kWidth}), {}};
    return scalar.at(test_normal(1, {4, 3, 32, 32}), at::zeros({4}), given)
        .abs()
        .max()
        .item<double>();
  };
  EXPECT_LT(largest(ScalarNetwork::Of::surrogate), 1);
  EXPECT_GT(largest(ScalarNetwork::Of::flow), 1);
}

TEST_P(ScalarNetworkOn, ThreadsChangeNoBit) {
  auto one = network(1), two = network(3);
  learn(one, 3);
  learn(two, 3);
  if (repeats_its_bits()) {
    EXPECT_TRUE(one.slope(x_, t_, given_).equal(two.slope(x_, t_, given_)));
    EXPECT_TRUE(values(one).equal(values(two)));
  } else {
    EXPECT_TRUE(at::allclose(values(one), values(two), 1e-2, 1e-3));
  }
}

TEST_P(ScalarNetworkOn, GoesOnFromItsStateAsIfItHadNotStopped) {
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

TEST_P(ScalarNetworkOn, ForgetsWhatItLearntSinceItBegan) {
  auto scalar = network();
  const auto before = values(scalar);
  const auto state = scalar.state();
  learn(scalar, 2);
  EXPECT_FALSE(values(scalar).equal(before));
  scalar.load_state(state);
  EXPECT_TRUE(values(scalar).equal(before));
  EXPECT_EQ(scalar.state().size(), state.size());  // no moments
}

TEST_P(ScalarNetworkOn, RefusesWhatIsNotItsOwn) {
  auto scalar = network();
  auto state = scalar.state();
  state.erase("network.out.weight");
  expect_parts(error_of([&] { scalar.load_state(state); }), {"out.weight"});
  const auto before = values(scalar);
  expect_parts(error_of([&] {
                 scalar.update(x_, t_, given_,
                               at::full({kStates}, std::nan(""), at::kDouble));
               }),
               {"[flow]", "not finite"});
  EXPECT_TRUE(values(scalar).equal(before));
}

}  // namespace
}  // namespace rsm
