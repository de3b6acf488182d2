// Gradients of soft returns, by autograd through the whole path.

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "rsm/estimators/first_order_testing.h"

namespace rsm {
namespace {

using At = GradientKnobs::At;

constexpr double kBeta = 0.7, kScale = 1.3;

struct Soft : GradientSetting {
  Soft(const PathPointer& where, GradientKnobs knobs)
      : GradientSetting(where, through_policy(knobs)) {
    method.estimator.returns = EstimatorKnobs::Return::soft;
    method.regularisation.beta = kBeta;
    method.strength.scale = kScale;
  }
  static GradientKnobs through_policy(GradientKnobs knobs) {
    knobs.through = GradientKnobs::Through::policy;
    return knobs;
  }

  /** From a node of a path on: the reward less alpha times the KL of every step
   * that draws noise, the path's own noise held. `share` is what gradients of
   * each step are multiplied with. */
  torch::Tensor value(torch::Tensor x, int64_t root, int64_t first,
                      const std::vector<double>& share) {
    auto paid = 0 * x.sum();
    for (int64_t i = first; i < steps(); ++i) {
      const int64_t here = root * steps() + i;
      const auto& step = rollout().transitions[i];
      const auto t = times_of(rollout(), {here});
      const auto condition = sampled.conditions_of({here});
      const auto y = policy.predict(x, t, condition);
      const auto apart = y - reference.predict(x, t, condition);
      if (step.s > 0) {
        const double alpha = kBeta / (kScale * share[i]);
        paid = paid + alpha * 0.5 * step.w() * step.w() * apart.square().sum();
      }
      const auto own = rollout().x.narrow(0, here, 1);
      const auto next =
          i + 1 < steps() ? rollout().x[here + 1] : rollout().latents[root];
      const auto off = next.unsqueeze(0) -
                       step_mean(step, own, policy.predict(own, t, condition));
      x = step_mean(step, x, y) + off;
    }
    return reward.value_of(decoder.pictures(x), {}).sum() - paid;
  }
  torch::Tensor gradient(int64_t state, int64_t lookahead,
                         const std::vector<double>& share) {
    const int64_t root = state / steps();
    const int64_t node = std::min(state % steps() + lookahead, steps());
    const auto at = node < steps() ? rollout().x[root * steps() + node]
                                   : rollout().latents[root];
    const auto x = at.unsqueeze(0).clone().requires_grad_(true);
    return torch::autograd::grad({value(x, root, node, share)}, {x})[0][0];
  }
};

TEST(SoftGradient, IsThatOfTheRewardLessWhatStepsPay) {
  const std::vector<double> even(kSteps, 1);
  for (const auto& path : both_paths()) {
    for (const bool stochastic : {false, true}) {
      for (const int64_t lookahead : {0, 1}) {
        Soft here(path, taken(At::adjoint, lookahead, stochastic));
        const auto soft = here.guide();
        here.method.estimator.returns = EstimatorKnobs::Return::hard;
        const auto hard = here.guide();
        EXPECT_EQ(soft.evaluations, 2 * hard.evaluations);
        for (const int64_t state : {0L, 2L, 5L, 19L}) {
          const auto got = here.direction_of(soft, state);
          const auto expected = here.gradient(state, lookahead, even);
          const double size = expected.abs().max().item<double>();
          // float32 sums over up to six steps.
          EXPECT_TRUE(at::allclose(got, expected, 1e-3, 1e-4 * size + 1e-6))
              << name_of(*path) << " " << state << got << expected;
          // The last step's cost may be too small to be seen.
          if (state % kSteps + lookahead + 1 >= kSteps) continue;
          EXPECT_FALSE(at::allclose(got, here.direction_of(hard, state), 1e-3,
                                    1e-4 * size + 1e-6))
              << name_of(*path) << " " << state;
        }
      }
    }
  }
}

TEST(SoftGradient, PaysInTheUnitsOfItsOwnGuidance) {
  constexpr double kDiscount = 0.8;
  const auto path = flow_path();
  auto knobs = taken(At::adjoint, 1);
  knobs.discount = kDiscount;
  knobs.of_sum = true;
  Soft here(path, knobs);
  std::vector<double> share;
  const double half = 0.5 * static_cast<double>(here.rollout().x[0].numel());
  for (int64_t i = 0; i < kSteps; ++i) {
    share.push_back(half * std::pow(kDiscount, kSteps - 1 - i));
  }
  const auto guidance = here.guide();
  for (const int64_t state : {0L, 3L}) {
    const auto expected = here.gradient(state, 1, share);
    const double size = expected.abs().max().item<double>();
    EXPECT_TRUE(at::allclose(here.direction_of(guidance, state), expected, 1e-3,
                             1e-4 * size + 1e-6))
        << state;
  }
}

TEST(SoftGradient, OfAPolicyThatIsTheReferenceIsTheRewards) {
  for (const auto& path : both_paths()) {
    Soft here(path, taken(At::adjoint, 1));
    const GradientParts parts = {here.reward, here.decoder, *here.path,
                                 here.policy, here.policy};
    const auto soft = FirstOrder(here.method, 1, parts).guide(here.sampled, 0);
    here.method.estimator.returns = EstimatorKnobs::Return::hard;
    const auto hard = FirstOrder(here.method, 1, parts).guide(here.sampled, 0);
    EXPECT_TRUE(
        at::allclose(soft.directions.value, hard.directions.value, 1e-4, 1e-6));
  }
}

}  // namespace
}  // namespace rsm
