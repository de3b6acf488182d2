// What value networks learn, against the published losses by autograd.

#include "rsm/values/lesson.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

#include "rsm/base/random.h"
#include "rsm/estimators/first_order.h"
#include "rsm/estimators/reward_gradient.h"
#include "rsm/values/testing.h"

namespace rsm {
namespace {

torch::Tensor slope_of(const torch::Tensor& value, const torch::Tensor& x) {
  return torch::autograd::grad({value.sum()}, {x})[0].detach();
}

/** How an epoch of expect_lesson() takes its gradients. */
GradientEpoch taking_of(ValueSetting& setting) {
  return FirstOrder(setting.method, 1, setting.parts()).taking(0);
}

/** One state of a path, and what networks say around it, with autograd. */
class Place {
 public:
  Place(ValueSetting& setting, ValueNetwork& network, int64_t state)
      : setting_(setting),
        network_(network),
        conditions_(setting.sampled.conditions_of({state})),
        step(setting.sampled.rollout.transition_of(state)),
        last(setting.sampled.rollout.state_step[state] + 1 ==
             std::ssize(setting.sampled.rollout.transitions)),
        x(setting.sampled.rollout.x.narrow(0, state, 1)) {
    const auto& rollout = setting.sampled.rollout;
    next = last ? rollout.latents.narrow(0, rollout.state_root[state], 1)
                : rollout.x.narrow(0, state + 1, 1);
    const auto node = static_cast<uint64_t>(
        PathNodes{std::ssize(rollout.transitions)}.of_state(state));
    const auto seed =
        counted_seed(taking_of(setting).seed, Purpose::particles, {node, 0});
    moved_ = setting.method.estimator.gradient.jitter *
             counted_normal(seed, x.sizes());
  }

  torch::Tensor g(const torch::Tensor& x, double t) const {
    return network_.outputs().network()->predict(
        x, at_time(t), conditions_.gathered(at::zeros({1}, at::kLong)));
  }
  torch::Tensor of_reference(const torch::Tensor& x, double t) const {
    return setting_.reference.predict(x, at_time(t), conditions_);
  }
  torch::Tensor of_policy(const torch::Tensor& x, double t) const {
    return setting_.policy.predict(x, at_time(t), conditions_);
  }
  /** Of the picture that an output predicts. */
  torch::Tensor reward(const torch::Tensor& x, const torch::Tensor& y,
                       double t) const {
    const auto by = setting_.path->prediction(t);
    return reward_of(by.x * x + by.y * y + moved_);
  }
  torch::Tensor reward_of(const torch::Tensor& picture) const {
    return setting_.reward.value_of(setting_.decoder.pictures(picture), {});
  }

 private:
  static torch::Tensor at_time(double t) {
    return at::full({1}, t, at::kFloat);
  }

  ValueSetting& setting_;
  ValueNetwork& network_;
  ConditionRows conditions_;
  torch::Tensor moved_;  ///< the particle that is judged

 public:
  const Transition& step;
  bool last;
  torch::Tensor x, next;
};

/** The release's consistency and terminal losses of one state; its step e in x
 * times the scale, by which its directions are shorter. */
torch::Tensor published_consistency(const ValueSetting& setting,
                                    const Place& at) {
  const auto& knobs = setting.method.estimator.gradient.value;
  const double scale = setting.method.strength.scale;
  const double t = at.step.t;
  const double e = std::min(knobs.difference, t / 2);
  const double eps_x = knobs.difference * scale;
  const auto eta = [](double t) { return (1 - t) * (1 - t); };
  const auto gradient = [&](const torch::Tensor& x, double t) {
    const auto leaf = x.detach().clone().requires_grad_(true);
    const auto y = at.of_policy(leaf, t).detach();
    const auto slope = slope_of(at.reward(leaf, y, t), leaf);
    const auto norm = slope.norm();
    return slope / (norm + 1e-8) *
           norm.clamp_max(setting.method.estimator.gradient.norm_clip);
  };
  const auto delta = [&](const torch::Tensor& g, const torch::Tensor& x,
                         double t) {
    return g / scale - eta(t) * gradient(x, t);
  };
  const auto g = at.g(at.x, t);
  const auto value = delta(g, at.x, t);
  // Of what float32 makes of it.
  const double earlier = static_cast<float>(t) - static_cast<float>(e);
  const double unit = setting.method.as_published ? 1000 : 1;
  const double eps_t = (static_cast<float>(t) - earlier) * unit;
  const auto by_time =
      (delta(at.g(at.x, earlier), at.x, earlier) - value) / eps_t;
  const auto v = at.of_reference(at.x, t);
  const auto turn = (at.of_reference(at.x + eps_x * value, t) - v) / eps_x;
  const auto way = (at.x + eps_x * (v / scale + value)).detach();
  const auto carry =
      (scale * delta(at.g(way, t), way, t) - scale * value) / eps_x;
  auto residual = (by_time - turn - carry) / scale;
  if (!setting.method.as_published) residual = residual * scale * scale;
  auto loss = knobs.consistency * residual.square().mean();
  if (at.last) loss = loss + knobs.terminal * g.square().mean();
  return loss;
}

/** Residual grad-DB's forward, backward and terminal losses of one step. */
torch::Tensor published_balance(const ValueSetting& setting, const Place& at) {
  const auto& knobs = setting.method.estimator.gradient.value;
  const double variance = at.step.s * at.step.s;
  const double t = at.step.t, t_next = at.step.t_next;
  const auto mean = [&](const torch::Tensor& x, const torch::Tensor& y) {
    return at.step.a_x * x + at.step.m_y * y;
  };
  const auto g_next = at.g(at.next, t_next);
  if (at.last) return knobs.terminal * g_next.square().mean();
  const auto score = [&](const torch::Tensor& y) {
    return -(at.next - mean(at.x, y)) / variance;
  };
  const auto leaf = [](const torch::Tensor& x) {
    return x.detach().clone().requires_grad_(true);
  };
  const auto backward = [&](const auto& network) {
    const auto x = leaf(at.x);
    return slope_of(-(at.next - mean(x, network(x))).square() / (2 * variance),
                    x);
  };
  const auto reward = [&](const torch::Tensor& from, double t) {
    const auto x = leaf(from);
    const double a = setting.path->signal(t);
    return setting.method.strength.scale * a * a *
           slope_of(at.reward(x, at.of_policy(x, t), t), x);
  };
  const auto forward_loss =
      (score(at.of_policy(at.x, t)) -
       (score(at.of_reference(at.x, t)) + reward(at.next, t_next) + g_next))
          .square();
  const auto backward_loss =
      (backward([&](const auto& x) { return at.of_policy(x, t); }) -
       (backward([&](const auto& x) { return at.of_reference(x, t); }) -
        reward(at.x, t) - at.g(at.x, t)))
          .square();
  return (forward_loss + knobs.backward * backward_loss).mean();
}

using StateLoss =
    std::function<torch::Tensor(const ValueSetting&, const Place&)>;

void expect_lesson(ValueSetting& setting, const StateLoss& loss) {
  const auto estimator = setting.estimator();
  auto& network = estimator->network();
  const auto guidance = estimator->guide(setting.sampled, 0);
  const auto states = all_states(setting.sampled.rollout);
  ASSERT_EQ(guidance.trained, states);
  auto sum = torch::zeros({});
  for (const int64_t state : states) {
    sum = sum + loss(setting, Place(setting, network, state));
  }
  sum = sum / std::ssize(states);
  const double expected_loss = sum.item<double>();
  EXPECT_NEAR(guidance.numbers.at("value_loss"), expected_loss,
              1e-3 * expected_loss);
  const auto expected =
      torch::autograd::grad({sum}, network.parameters(), {}, false, false,
                            /*allow_unused=*/true);

  const auto parts = setting.parts();
  const auto epoch = taking_of(setting);
  const Classroom room = {setting.method,    setting.sampled, parts,
                          network.outputs(), guidance,        epoch};
  const auto lesson =
      setting.method.estimator.gradient.value.law == ValueKnobs::Law::balance
          ? balance_lesson(room)
          : consistency_lesson(room);
  const auto index = torch::tensor(lesson.prompt, at::kLong);
  const auto got = network.gradients(
      lesson.x, lesson.t, {setting.sampled.conditions, index}, lesson.slope);
  ASSERT_EQ(got.size(), expected.size());
  double apart = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto other =
        expected[i].defined() ? expected[i] : at::zeros_like(got[i]);
    apart += (got[i] - other).square().sum().item<double>();
    size += other.square().sum().item<double>();
  }
  EXPECT_GT(size, 0);
  // Differences of 1e-2 of float32 numbers, once more over them.
  EXPECT_LT(std::sqrt(apart / size), 2e-3);
}

TEST(Lesson, OfConsistencyIsThatOfThePublishedLossByAutograd) {
  for (const bool as_published : {false, true}) {
    ValueSetting setting("vgg-flow");
    setting.method.as_published = as_published;
    setting.method.estimator.gradient.norm_clip = 0.5;
    if (as_published) setting.method.estimator.gradient.value.terminal = 0;
    expect_lesson(setting, published_consistency);
  }
}

TEST(Lesson, OfConsistencyJudgesTheSameParticleAtAllItsPoints) {
  ValueSetting setting("vgg-flow");
  setting.method.estimator.gradient.jitter = 0.2;
  expect_lesson(setting, published_consistency);
}

TEST(Lesson, OfBalanceIsThatOfThePublishedLossByAutograd) {
  ValueSetting setting("residual-db");
  expect_lesson(setting, published_balance);
}

TEST(Lesson, WithoutABackwardLossTeachesTheRest) {
  ValueSetting setting("residual-db");
  setting.method.estimator.gradient.value.backward = 0;
  expect_lesson(setting, published_balance);
}

TEST(Lesson, WithoutConsistencyOnlyTheEndIsLearnt) {
  ValueSetting setting("vgg-flow");
  setting.method.estimator.gradient.value.consistency = 0;
  const auto numbers = setting.estimator()->guide(setting.sampled, 0).numbers;
  EXPECT_FALSE(numbers.contains("value_consistency"));
  EXPECT_EQ(numbers.at("value_loss"), numbers.at("value_terminal"));
  EXPECT_GT(numbers.at("value_loss"), 0);
}

}  // namespace
}  // namespace rsm
