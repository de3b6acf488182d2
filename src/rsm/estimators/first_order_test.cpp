#include "rsm/estimators/first_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/estimators/first_order_testing.h"

namespace rsm {
namespace {

using At = GradientKnobs::At;
using Through = GradientKnobs::Through;
using Setting = GradientSetting;

TEST(FirstOrder, TakesTheDerivativeOfThePredictedPictureWithItsOutputHeld) {
  for (const auto& path : both_paths()) {
    Setting here(path, taken(At::picture));
    const auto guidance = here.guide();
    for (const int64_t state : {0L, 3L, 5L, 13L}) {
      const auto x = here.rollout().x.narrow(0, state, 1);
      const auto y = here.rollout().y.narrow(0, state, 1);
      expect_derivative(
          here.direction_of(guidance, state), x,
          [&](const torch::Tensor& at) {
            return here.reward_predicted(at, y, state);
          },
          cat(name_of(*path), " ", state));
    }
  }
}

/** The same knobs through what was before training and through what is trained,
 * which say different things. */
std::vector<GradientKnobs> through_each(GradientKnobs knobs) {
  std::vector<GradientKnobs> out;
  for (const auto through : {Through::reference, Through::policy}) {
    knobs.through = through;
    out.push_back(knobs);
  }
  return out;
}

TEST(FirstOrder, TakesItThroughTheNetworkOneStepAhead) {
  for (const auto& path : both_paths()) {
    for (const auto& knobs : through_each(taken(At::network, 1))) {
      Setting here(path, knobs);
      const auto guidance = here.guide();
      for (const int64_t state : {0L, 3L, 13L}) {
        expect_derivative(
            here.direction_of(guidance, state),
            here.rollout().x.narrow(0, state + 1, 1),
            [&](const torch::Tensor& at) {
              return here.reward_predicted(at, here.output(at, state + 1),
                                           state + 1);
            },
            cat(name_of(*path), " ", state));
      }
      const int64_t last = kSteps - 1;  // one step ahead is the sample
      expect_derivative(
          here.direction_of(guidance, last),
          here.rollout().latents.narrow(0, 0, 1),
          [&](const torch::Tensor& at) { return here.reward_of(at); },
          "sample");
    }
  }
}

TEST(FirstOrder, CarriesItBackByTheWholeJacobianOfThePath) {
  for (const auto& path : both_paths()) {
    for (const bool stochastic : {false, true}) {
      for (const auto& knobs :
           through_each(taken(At::adjoint, 0, stochastic))) {
        Setting here(path, knobs);
        const auto guidance = here.guide();
        for (const int64_t state : {0L, 2L, 5L, 19L}) {
          expect_derivative(
              here.direction_of(guidance, state),
              here.rollout().x.narrow(0, state, 1),
              [&](const torch::Tensor& at) {
                return here.reward_from(at, state);
              },
              cat(name_of(*path), " ", state));
        }
      }
    }
  }
}

TEST(FirstOrder, GoesThroughTheNetworkItIsToldTo) {
  for (const auto& path : both_paths()) {
    for (const auto at : {At::network, At::adjoint}) {
      const auto of_each = through_each(taken(at));
      const auto by_reference = Setting(path, of_each[0]).guide();
      const auto by_policy = Setting(path, of_each[1]).guide();
      const auto &one = by_reference.directions.value,
                 &other = by_policy.directions.value;
      EXPECT_GT((one - other).norm().item<double>(),
                0.02 * one.norm().item<double>())
          << name_of(*path);
    }
  }
}

TEST(FirstOrder, TakesTheSamplesGradientForAllStatesOfItsPath) {
  for (const auto& path : both_paths()) {
    Setting here(path, taken(At::sample));
    const auto guidance = here.guide();
    EXPECT_EQ(guidance.directions.value.size(0), here.rollout().images());
    for (int64_t state = 0; state < here.rollout().states(); ++state) {
      EXPECT_EQ(guidance.directions.of_row[state], state / kSteps);
    }
    expect_derivative(
        here.direction_of(guidance, 2), here.rollout().latents.narrow(0, 0, 1),
        [&](const torch::Tensor& at) { return here.reward_of(at); }, "sample");
    auto far = taken(At::picture, kSteps);  // looking as far is the same
    EXPECT_TRUE(Setting(path, far).guide().directions.value.equal(
        guidance.directions.value));
  }
}

TEST(FirstOrder, TrainsOneStepOfEachPartAndTheLast) {
  auto knobs = taken(At::sample);
  knobs.times = 2;
  knobs.last_time = true;
  Setting here(flow_path(), knobs);
  std::set<int64_t> seen;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto trained = here.guide(epoch).trained;
    EXPECT_TRUE(std::is_sorted(trained.begin(), trained.end()));
    for (int64_t root = 0; root < here.rollout().images(); ++root) {
      std::vector<int64_t> steps;
      for (const int64_t state : trained) {
        if (state / kSteps == root) steps.push_back(state % kSteps);
      }
      ASSERT_GE(steps.size(), 2u);
      EXPECT_LT(steps[0], 3);
      EXPECT_GE(steps[1], 3);
      EXPECT_EQ(steps.back(), kSteps - 1);
      seen.insert(steps.begin(), steps.end());
    }
  }
  EXPECT_EQ(std::ssize(seen), kSteps);
  EXPECT_EQ(here.guide(7).trained, here.guide(7).trained);
}

TEST(FirstOrder, TrainsTheLateStepsAlone) {
  auto knobs = taken(At::sample);
  knobs.late_steps = 2;
  Setting here(flow_path(), knobs);
  const auto trained = here.guide().trained;
  EXPECT_EQ(std::ssize(trained), 2 * here.rollout().images());
  for (const int64_t state : trained) EXPECT_GE(state % kSteps, kSteps - 2);
  knobs.late_steps = 0;
  knobs.random_late_steps = true;
  Setting random(flow_path(), knobs);
  std::set<int64_t> counts;
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    counts.insert(std::ssize(random.guide(epoch).trained) /
                  random.rollout().images());
  }
  EXPECT_EQ(std::ssize(counts), kSteps);
}

TEST(FirstOrder, DiscountsByTheStepsThatAreLeft) {
  auto knobs = taken(At::sample);
  knobs.discount = 0.5;
  knobs.of_sum = true;
  Setting here(diffusion_path(), knobs);
  const auto value = here.guide().advantages.value;
  for (int64_t state = 0; state < here.rollout().states(); ++state) {
    const double left = static_cast<double>(kSteps - 1 - state % kSteps);
    EXPECT_FLOAT_EQ(value[state].item<float>(), 6 * std::pow(0.5, left));
  }
}

TEST(FirstOrder, BoundsTheNormOfAGradient) {
  auto knobs = taken(At::sample);
  Setting here(flow_path(), knobs);
  const auto free = here.guide();
  knobs.norm_clip = 1e-3;
  const auto held = Setting(flow_path(), knobs).guide();
  EXPECT_GT(norms(free.directions.value).min().item<double>(), 1e-2);
  EXPECT_NEAR(norms(held.directions.value).max().item<double>(), 1e-3, 1e-6);
  EXPECT_EQ(held.numbers.at("gradient_norm"), free.numbers.at("gradient_norm"));
}

TEST(FirstOrder, LeavesOutWhatIsNotRewarded) {
  auto knobs = taken(At::sample);
  knobs.positive_only = true;
  Setting here(flow_path(), knobs);
  EXPECT_TRUE(here.guide().advantages.alive.all().item<bool>());
  here.reward.offset = -1e3;
  EXPECT_FALSE(here.guide().advantages.alive.any().item<bool>());
}

TEST(FirstOrder, RejectsTheFarthestByARunningQuantile) {
  auto knobs = taken(At::sample);
  knobs.reject_above = 0.5;
  Setting here(flow_path(), knobs);
  FirstOrder estimator(here.method, 1, here.parts());
  const auto alive_of = [&](FirstOrder& of, double scale) {
    auto guidance = of.guide(here.sampled, 0);
    const auto count = std::ssize(guidance.trained);
    of.reject([&] { return scale * at::arange(count, at::kDouble); }, guidance);
    return guidance.advantages.alive.sum().item<int64_t>();
  };
  const auto all = here.rollout().states();  // 24 states: a median of 11.5
  EXPECT_EQ(alive_of(estimator, 1), all / 2);
  EXPECT_EQ(alive_of(estimator, 2), 9);  // the mean of 11.5 and 23, by twos
  FirstOrder other(here.method, 1, here.parts());
  other.load_state(estimator.state());
  // 0.9 of 17.25 and 0.1 of 11.5: above 16.
  EXPECT_EQ(alive_of(other, 1), 17);
  EXPECT_EQ(alive_of(estimator, 1), 17);
  EXPECT_THROW(other.load_state({}), Error);
}

}  // namespace
}  // namespace rsm
