#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "rsm/base/error.h"
#include "rsm/estimators/first_order.h"
#include "rsm/estimators/gradient_testing.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/testing.h"

/** What tests of first-order estimators share; no part of the library includes
 * this. */
namespace rsm {

constexpr int64_t kSteps = 6;

/** What an estimator of a kind says of trajectories of a policy that has left
 * the Gaussian model. */
struct GradientSetting {
  GradientSetting(const PathPointer& where, const GradientKnobs& knobs,
                  int64_t steps = kSteps, std::optional<double> level = {})
      : path(where),
        reference(where),
        policy(where),
        request(request_for(2, 2)) {
    request.latent_shape = {3, 2, 2};
    method.estimator.source = EstimatorKnobs::Source::trajectory;
    method.estimator.gradient = knobs;
    method.regularisation.importance = RegularisationKnobs::Importance::none;
    StepNoise noise;
    noise.level = level.value_or(usual_level(noise.kind, path->family()));
    plan = make_plan(method, steps, noise);
    sampled.rollout = roll_out(policy, *path, plan, request);
    sampled.conditions = request.conditions;
    sampled.scores.value = at::zeros({sampled.rollout.images()});
  }

  GradientParts parts() { return {reward, decoder, *path, policy, reference}; }
  Guidance guide(int64_t epoch = 0) {
    return FirstOrder(method, 1, parts()).guide(sampled, epoch);
  }
  torch::Tensor direction_of(const Guidance& guidance, int64_t state) const {
    return guidance.directions.value[guidance.directions.of_row[state]];
  }
  int64_t steps() const { return plan.steps; }
  const Rollout& rollout() const { return sampled.rollout; }

  /** Of the network that the knobs go through. */
  torch::Tensor output(const torch::Tensor& x, int64_t state) {
    const bool own =
        method.estimator.gradient.through == GradientKnobs::Through::policy;
    GaussianDenoiser& network = own ? policy : reference;
    return network.predict(x, times_of(rollout(), {state}),
                           sampled.conditions_of({state}));
  }
  double reward_of(const torch::Tensor& latents) const {
    return reward.value_of(decoder.pictures(latents), {}).item<double>();
  }
  /** Of the sample that a state of a path leads to by that network's steps,
   * each as far off them as the path's own was. */
  double reward_from(torch::Tensor x, int64_t state) {
    const int64_t first = state % steps();
    for (int64_t i = first; i < steps(); ++i) {
      const int64_t here = state - first + i;
      const auto& step = rollout().transitions[i];
      const auto at = rollout().x.narrow(0, here, 1);
      const auto next = i + 1 < steps() ? rollout().x[here + 1]
                                        : rollout().latents[here / steps()];
      const auto off =
          next.unsqueeze(0) - step_mean(step, at, output(at, here));
      x = step_mean(step, x, output(x, here)) + off;
    }
    return reward_of(x);
  }
  /** Of the picture predicted from a state. */
  double reward_predicted(const torch::Tensor& x, const torch::Tensor& y,
                          int64_t state) const {
    const auto by = path->prediction(rollout().transition_of(state).t);
    return reward_of(by.x * x + by.y * y);
  }

  PathPointer path;
  GaussianDenoiser reference;
  StretchedGaussian policy;
  CurvedReward reward;
  SquashedPixels decoder;
  RolloutRequest request;
  Method method;
  RolloutPlan plan;
  Sampled sampled;
};

inline GradientKnobs taken(GradientKnobs::At at, int64_t lookahead = 0,
                           bool stochastic = true) {
  GradientKnobs knobs;
  knobs.at = at;
  knobs.lookahead = lookahead;
  knobs.stochastic = stochastic;
  return knobs;
}

/** `direction` is the derivative of `value` at x, along a random direction. */
inline void expect_derivative(
    const torch::Tensor& direction, const torch::Tensor& x,
    const std::function<double(const torch::Tensor&)>& value,
    const std::string& where) {
  constexpr double kStep = 2e-2;  // of a float32 value
  const auto along = counted_normal(5, x.sizes());
  const double slope =
      (value(x + kStep * along) - value(x - kStep * along)) / (2 * kStep);
  const auto got = (direction * along).sum().item<double>();
  EXPECT_NEAR(got, slope, 0.01 * std::abs(slope) + 0.01) << where;
}

}  // namespace rsm
