// Pairs of paths against the published loss, written as its release writes it
// and differentiated by autograd.

#include "rsm/estimators/pair_difference.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/estimators/picture_problem_testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/rollouts/gaussian_testing.h"
#include "rsm/rollouts/plan.h"

namespace rsm {
namespace {

constexpr int64_t kPrompts = 2, kMembers = 2, kPairSteps = 3;
constexpr int64_t kPairs = kPrompts * kMembers;
constexpr int64_t kPairRows = 2 * kPairs * kPairSteps;

torch::Tensor random_outputs(int64_t count, uint64_t seed) {
  return counted_normal(seed, {count, 2, 3, 4}).to(torch::kFloat64);
}

/** Four pairs of paths of three steps, whose outputs of what is trained, before
 * the updates and of the reference are all different. */
struct PairProblem {
  Method method;
  Sampled sampled;
  std::vector<int64_t> states;
  torch::Tensor y, y_old, y_ref;
  torch::Tensor reward =
      torch::tensor({0.3, -0.2, 0.9, 0.1, 1.4, 1.2, 0.7, 0.0}, torch::kFloat64);

  explicit PairProblem(const Method& from, const Path& path) : method(from) {
    auto& rollout = sampled.rollout;
    const auto plan = make_plan(method, kPairSteps, {.level = 0.5});
    static_cast<RolloutIndex&>(rollout) =
        lay_out(plan, plan.transitions(path), Prompts(kPrompts), kMembers);
    rollout.x = random_outputs(kPairRows, 1);
    rollout.latents = random_outputs(2 * kPairs, 2);
    y_old = random_outputs(kPairRows, 3);
    y = y_old + 0.05 * random_outputs(kPairRows, 4);
    y_ref = y_old + 0.2 * random_outputs(kPairRows, 5);
    states = all_states(rollout);
    sampled.scores.value = reward.to(torch::kFloat32);
  }

  Guidance guidance() const {
    return PairDifference(method, 1).guide(sampled, 0);
  }
  LossResult loss() const {
    const auto guided = guidance();
    const auto weights =
        update_weights(method, sampled.rollout, guided.advantages, states);
    const auto terms =
        loss_terms(method, sampled.rollout, {{y_old, states}, {y_ref, states}},
                   guided, weights, states);
    return rsm_loss(y, terms.states, terms.rows);
  }
};

/** [rows] of outputs, as FDFO's train loop has it. */
torch::Tensor published_loss(const PairProblem& p, const torch::Tensor& v) {
  const double range = 0.03;
  std::vector<torch::Tensor> of_reward, towards;
  for (int64_t r = 0; r < kPairRows; ++r) {
    const int64_t own = p.sampled.rollout.row_image[r];
    const int64_t other = own % 2 == 0 ? own + 1 : own - 1;
    of_reward.push_back((p.reward[own] - p.reward[other]) / 2);
    const auto& x0 = p.sampled.rollout.latents;
    const auto half = (x0[own] - x0[other]) / 2;
    towards.push_back(half / (half.square().mean() + 1e-6));
  }
  const auto d_reward = torch::stack(of_reward), dx = torch::stack(towards);
  const auto log_p = -mean_of((v - (p.y_old - dx)).square());
  const auto ratio = (log_p + mean_of(dx.square())).exp();
  return -(d_reward * ratio) +
         d_reward.abs() / (2 * range) * (ratio - 1).square();
}

torch::Tensor gradient_of(
    const PairProblem& p,
    const std::function<torch::Tensor(const PairProblem&,
                                      const torch::Tensor&)>& loss) {
  auto y = p.y.clone().requires_grad_();
  return torch::autograd::grad({loss(p, y).mean()}, {y})[0];
}

double relative(const torch::Tensor& found, const torch::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

TEST(PairDifference, HasThePublishedGradient) {
  const PairProblem p(find_method("fdfo"), *flow_path());
  const auto result = p.loss();
  const auto excess = result.rows.scaled.neg().expm1().abs();
  ASSERT_GT((excess > 0.03).sum().item<int64_t>(), 0);
  ASSERT_LT((excess > 0.03).sum().item<int64_t>(), kPairRows);
  EXPECT_LT(relative(result.gradient, gradient_of(p, published_loss)), 1e-6);
  // Advantages are float32.
  EXPECT_NEAR(result.policy, published_loss(p, p.y).mean().item<double>(),
              1e-6);
}

/** Where nothing has moved yet the ratio's own part is all there is. */
TEST(PairDifference, BeginsWithTheDifferenceAlone) {
  PairProblem p(find_method("fdfo"), *flow_path());
  p.y = p.y_old.clone();
  const auto guided = p.guidance();
  const auto a = guided.advantages.value.to(torch::kFloat64);
  const auto directions = guided.directions.value.index_select(
      0, torch::tensor(guided.directions.of_row, torch::kLong));
  const auto expected =
      -2.0 / (kPairRows * p.y[0].numel()) * a.view({-1, 1, 1, 1}) * directions;
  EXPECT_LT(relative(p.loss().gradient, expected), 1e-9);
}

TEST(PairDifference, MayBeHeldByTheReference) {
  auto method = find_method("fdfo");
  method.regularisation.beta = 0.7;
  const PairProblem p(method, *flow_path());
  const auto held = [](const PairProblem& problem, const torch::Tensor& v) {
    return published_loss(problem, v) +
           0.7 * mean_of((v - problem.y_ref).square());
  };
  EXPECT_LT(relative(p.loss().gradient, gradient_of(p, held)), 1e-6);
}

/** h(t) weighs the distance, so the ratio too. */
TEST(PairDifference, TakesItsStrengthByTime) {
  auto method = find_method("fdfo");
  method.strength.shape = StrengthKnobs::Shape::linear;
  const PairProblem p(method, *flow_path());
  const auto& rollout = p.sampled.rollout;
  const auto log_ratio = p.loss().rows.log_ratio();
  const auto flat = PairProblem(find_method("fdfo"), *flow_path());
  // <d^2> and 2 <d D> are the same; U is what h multiplies.
  EXPECT_TRUE(at::allclose(log_ratio, flat.loss().rows.log_ratio()));
  const auto scaled = p.loss().rows.scaled;
  for (int64_t r = 0; r < kPairRows; ++r) {
    const double t = rollout.transition_of(rollout.row_state[r]).t;
    EXPECT_NEAR(scaled[r].item<double>(),
                -2 * (1 - t) * log_ratio[r].item<double>(), 1e-12);
  }
}

TEST(PairDifference, PointsToTheOtherPictureOverItsSquare) {
  const auto a = torch::full({1, 2, 2, 2}, 3.0, torch::kFloat64);
  const auto b = torch::full({1, 2, 2, 2}, -1.0, torch::kFloat64);
  const auto directions = pair_directions(torch::cat({a, b, a, a}));
  // Half of 4 is 2, over 4.
  EXPECT_TRUE(at::allclose(directions[0], at::full_like(a[0], -0.5), 1e-5));
  EXPECT_TRUE(at::allclose(directions[1], at::full_like(a[0], 0.5), 1e-5));
  EXPECT_EQ(directions.slice(0, 2).abs().max().item<double>(), 0);
}

/** A pair with one reward has nothing to say, and leaves the mean. */
TEST(PairDifference, OfEqualRewardsAreDead) {
  PairProblem p(find_method("fdfo"), *flow_path());
  p.sampled.scores.value[3] = p.sampled.scores.value[2];
  const auto guided = p.guidance();
  EXPECT_EQ(guided.advantages.groups(), kPairs);
  EXPECT_EQ(guided.advantages.dead_groups, 1);
  const auto gradient = p.loss().gradient;
  const auto of_pair = [&](int64_t pair) {
    return gradient.slice(0, pair * 2 * kPairSteps, (pair + 1) * 2 * kPairSteps)
        .abs()
        .max()
        .item<double>();
  };
  EXPECT_GT(of_pair(0), 0);
  EXPECT_EQ(of_pair(1), 0);
}

}  // namespace
}  // namespace rsm
