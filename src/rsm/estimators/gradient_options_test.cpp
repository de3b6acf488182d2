// What a first-order method may ask for besides the gradient itself.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "rsm/base/error.h"
#include "rsm/estimators/first_order_testing.h"
#include "rsm/paths/consistency_point.h"

namespace rsm {
namespace {

using At = GradientKnobs::At;
using Setting = GradientSetting;

/** A network that says the same everywhere. */
class ConstantDenoiser : public Denoiser {
 public:
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor&,
                        const ConditionRows&) override {
    return at::full_like(x, 0.3);
  }
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor&,
                          const ConditionRows&,
                          const OutputGradient&) override {
    return at::zeros_like(x);
  }
};

std::vector<int64_t> steps_of(const Guidance& guidance, int64_t root,
                              int64_t steps) {
  std::vector<int64_t> out;
  for (const int64_t state : guidance.trained) {
    if (state / steps == root) out.push_back(state % steps);
  }
  return out;
}

TEST(GradientOptions, ALinearAdjointIsThatOfANetworkThatSaysTheSameEverywhere) {
  for (const auto& path : both_paths()) {
    for (const bool stochastic : {false, true}) {
      auto knobs = taken(At::adjoint, 0, stochastic);
      Setting whole(path, knobs);
      knobs.through = GradientKnobs::Through::linear;
      Setting linear(path, knobs);
      ConstantDenoiser constant;
      auto parts = whole.parts();
      const auto expected = FirstOrder(whole.method, 1,
                                       {parts.reward, parts.decoder, parts.path,
                                        constant, constant})
                                .guide(whole.sampled, 0);
      linear.policy.rows = linear.reference.rows = 0;
      const auto got = linear.guide();
      EXPECT_TRUE(got.directions.value.equal(expected.directions.value));
      EXPECT_FALSE(got.directions.value.equal(whole.guide().directions.value));
      EXPECT_EQ(linear.policy.rows + linear.reference.rows, 0);
      EXPECT_EQ(got.evaluations, 0);
      EXPECT_GT(expected.evaluations, 0);
    }
  }
}

TEST(GradientOptions, OfAConsistencyModelIsThatOfWhatItPredicts) {
  auto knobs = taken(At::network, 1);
  knobs.through = GradientKnobs::Through::predictor;
  Setting here(diffusion_path(), knobs);
  GaussianDenoiser predictor(here.path);
  auto parts = here.parts();
  parts.predictor = &predictor;
  const auto guidance =
      FirstOrder(here.method, 1, parts).guide(here.sampled, 0);
  EXPECT_EQ(predictor.rows, guidance.evaluations);
  for (const int64_t state : {0L, 3L, 13L}) {
    const int64_t next = state + 1;
    const auto point =
        consistency_point(*here.path, here.rollout().transition_of(next).t);
    const auto t = at::full({1}, point.t, at::kFloat);
    expect_derivative(
        here.direction_of(guidance, state), here.rollout().x.narrow(0, next, 1),
        [&](const torch::Tensor& x) {
          const auto y =
              predictor.predict(x, t, here.sampled.conditions_of({next}));
          return here.reward_of(point.prediction.x * x +
                                point.prediction.y * y);
        },
        cat(state));
  }
}

TEST(GradientOptions, AGradientIsTheMeanOfItsParticles) {
  auto knobs = taken(At::sample);
  knobs.particles = 4;
  knobs.jitter = 0.3;
  Setting here(diffusion_path(), knobs);
  const auto parts = here.parts();
  const GradientEpoch epoch = {.seed = 9};
  const PathNodes nodes{kSteps};
  const int64_t sample = nodes.of(1, kSteps);
  const auto found = gradients_at({sample}, here.sampled, knobs, parts, epoch);
  const auto latent = here.rollout().latents.narrow(0, 1, 1);
  auto value = at::zeros({1}), gradient = at::zeros_like(latent);
  for (uint64_t k = 0; k < 4; ++k) {
    const auto noise = counted_normal(
        counted_seed(9, Purpose::particles, {static_cast<uint64_t>(sample), k}),
        latent.sizes());
    const auto one = reward_gradient(here.reward, here.decoder,
                                     latent + 0.3 * noise, {Prompt()}, 1);
    value += one.value / 4;
    gradient += one.gradient / 4;
  }
  EXPECT_TRUE(at::allclose(found.value, value, 1e-5));
  EXPECT_TRUE(at::allclose(found.gradient, gradient, 1e-5, 1e-6));
}

TEST(GradientOptions, ParticlesDoNotDependOnWhatElseIsTaken) {
  for (const auto at : {At::picture, At::network, At::sample, At::adjoint}) {
    auto knobs = taken(at);
    knobs.particles = 2;
    knobs.jitter = 0.1;
    Setting here(flow_path(), knobs);
    const auto parts = here.parts();
    const GradientEpoch epoch = {.seed = 9};
    const auto take = [&](const std::vector<int64_t>& nodes) {
      return gradients_at(nodes, here.sampled, knobs, parts, epoch).gradient;
    };
    const PathNodes nodes{kSteps};
    const int64_t one = nodes.of(0, 2), other = nodes.of(2, kSteps);
    const auto both = take({one, other});
    EXPECT_TRUE(both.narrow(0, 0, 1).equal(take({one})));
    EXPECT_TRUE(both.narrow(0, 1, 1).equal(take({other})));
  }
}

TEST(GradientOptions, ParticlesAreDrawnAnewInEveryEpoch) {
  auto knobs = taken(At::sample);
  knobs.jitter = 0.1;
  Setting here(flow_path(), knobs);
  const auto first = here.guide(0).directions.value;
  EXPECT_TRUE(first.equal(here.guide(0).directions.value));
  EXPECT_FALSE(first.equal(here.guide(1).directions.value));
}

TEST(GradientOptions, TheBoundOnNormsIsAQuantileOfTheEpochBefore) {
  auto knobs = taken(At::picture);
  const auto norm = norms(Setting(flow_path(), knobs).guide().directions.value);
  knobs.norm_clip = 1e-3;
  knobs.norm_quantile = 0.8;
  knobs.reject_above = 0.9;
  Setting here(flow_path(), knobs);
  FirstOrder estimator(here.method, 1, here.parts());
  const auto longest = [&](FirstOrder& of, int64_t epoch) {
    return norms(of.guide(here.sampled, epoch).directions.value)
        .max()
        .item<double>();
  };
  EXPECT_NEAR(longest(estimator, 0), 1e-3, 1e-6);
  const auto saved = estimator.state();
  const double bound = at::quantile(norm, 0.8).item<double>();
  EXPECT_GT(bound, 2e-3);
  EXPECT_LT(bound, norm.max().item<double>());
  EXPECT_NEAR(longest(estimator, 1), bound, 1e-5 * bound);
  FirstOrder other(here.method, 1, here.parts());
  other.load_state(saved);
  EXPECT_NEAR(longest(other, 1), bound, 1e-5 * bound);
  EXPECT_EQ(saved.size(), 2u);
  auto part = saved;
  part.erase("norm_clip");
  EXPECT_THROW(other.load_state(part), Error);
}

TEST(GradientOptions, TimesAreSplitBetweenEarlyAndLateOnes) {
  constexpr int64_t kTen = 10;
  auto knobs = taken(At::sample);
  knobs.times = 4;
  knobs.early_times = 2;
  Setting here(flow_path(), knobs, kTen);
  std::set<std::vector<int64_t>> seen;
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const auto guidance = here.guide(epoch);
    for (int64_t root = 0; root < here.rollout().images(); ++root) {
      const auto steps = steps_of(guidance, root, kTen);
      ASSERT_EQ(steps.size(), 4u);
      EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
      EXPECT_LT(steps[0], steps[1]);
      EXPECT_LT(steps[1], 6);
      EXPECT_GE(steps[2], 6);
      EXPECT_LT(steps[2], steps[3]);
      seen.insert({steps[0], steps[1]});
      seen.insert({steps[2], steps[3]});
    }
  }
  EXPECT_EQ(seen.size(), 15u + 6);  // every pair of six and of four
}

TEST(GradientOptions, SharedTimesAreThoseOfEveryPath) {
  auto knobs = taken(At::sample);
  knobs.times = 2;
  Setting own(flow_path(), knobs);
  knobs.shared_times = true;
  Setting shared(flow_path(), knobs);
  std::set<std::vector<int64_t>> seen;
  bool differ = false;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto one = shared.guide(epoch), each = own.guide(epoch);
    const auto first = steps_of(one, 0, kSteps);
    seen.insert(first);
    for (int64_t root = 1; root < own.rollout().images(); ++root) {
      EXPECT_EQ(steps_of(one, root, kSteps), first);
      differ |= steps_of(each, root, kSteps) != steps_of(each, 0, kSteps);
    }
  }
  EXPECT_TRUE(differ);
  EXPECT_GT(seen.size(), 4u);
}

TEST(GradientOptions, StepsBeforeTheFirstAreNotTrained) {
  auto knobs = taken(At::sample);
  knobs.first_step = 2;
  const auto all = Setting(flow_path(), knobs).guide();
  EXPECT_EQ(steps_of(all, 1, kSteps), (std::vector<int64_t>{2, 3, 4, 5}));
  knobs.late_steps = 5;  // it is the larger part that is left
  const auto late = Setting(flow_path(), knobs).guide();
  EXPECT_EQ(late.trained, all.trained);
  knobs.times = 1;
  Setting here(flow_path(), knobs);
  std::set<int64_t> seen;
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const auto steps = steps_of(here.guide(epoch), 0, kSteps);
    seen.insert(steps.begin(), steps.end());
  }
  EXPECT_EQ(seen, (std::set<int64_t>{2, 3, 4, 5}));
}

TEST(GradientOptions, AShareOfStatesLosesItsPrompt) {
  auto knobs = taken(At::sample);
  knobs.prompt_dropout = 0.25;
  Setting here(flow_path(), knobs);
  int64_t lost = 0;
  std::set<std::vector<int64_t>> seen;
  for (int64_t epoch = 0; epoch < 50; ++epoch) {
    const auto guidance = here.guide(epoch);
    const auto& states = guidance.unprompted;
    EXPECT_TRUE(std::is_sorted(states.begin(), states.end()));
    EXPECT_TRUE(std::includes(guidance.trained.begin(), guidance.trained.end(),
                              states.begin(), states.end()));
    lost += std::ssize(states);
    seen.insert(states);
  }
  const auto all = 50 * here.rollout().states();
  EXPECT_NEAR(lost, all / 4, 60);  // standard error: 15
  EXPECT_GT(seen.size(), 40u);
  EXPECT_EQ(here.guide(3).unprompted, here.guide(3).unprompted);
  knobs.prompt_dropout = 1;
  const auto whole = Setting(flow_path(), knobs).guide();
  EXPECT_EQ(whole.unprompted, whole.trained);
  knobs.prompt_dropout = 0;
  EXPECT_TRUE(Setting(flow_path(), knobs).guide().unprompted.empty());
}

}  // namespace
}  // namespace rsm
