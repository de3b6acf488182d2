#include "rsm/objective/scaled_residual.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/published_testing.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

Transitions ddim_steps() {
  const auto path = Path::from_json(DdimSchedule{}.to_json());
  const StepNoise noise = {
      .kind = SamplerNoise::usual,
      .level = usual_level(SamplerNoise::usual, path->family())};
  return path->noisy_steps(path->times(10), noise);
}

/** PCPO's uw-lambda as published: the hinge with one weight at all times, on
 * the outputs before they are moved. */
torch::Tensor published_gradient(const Method& method, const Problem& problem,
                                 const torch::Tensor& raw,
                                 const torch::Tensor& raw_old) {
  constexpr double kWeight = 4.5 / 8.70575076181;
  const auto& rollout = problem.rollout;
  const auto y = raw.clone().requires_grad_(true);
  const auto& branches = method.estimator.branches;
  auto policy = torch::zeros({}, torch::kFloat64);
  double live = 0;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (!problem.advantages.alive[r].item<bool>()) continue;
    live += 1;
    const int64_t state = rollout.row_state[r];
    const int64_t i = rollout.state_step[state];
    const auto& step = rollout.transitions[i];
    const auto eps = (rollout.x_next[r] -
                      mean_of(rollout.x[state], problem.y_old[state], step)) /
                     step.s;
    // Means decrease with the output.
    const auto moved = kWeight * (y[state] - raw_old[state]);
    const auto u = 0.5 * moved.square().mean() + (moved * eps).mean();
    const double a = problem.advantages.value[r].item<double>();
    const double xi = method.regularisation.clip_range;
    policy = policy + mean_branches(branches) /
                          static_cast<double>(branches[i]) *
                          torch::relu(xi * std::abs(a) + a * u);
  }
  (policy / live).backward();
  return y.grad();
}

TEST(OutputMap, GivesPcposUniformWeightItsPublishedGradient) {
  auto method = find_method("pcpo-uw-lambda");
  ASSERT_TRUE(method.strength.scaled_residual);
  method.estimator = EstimatorKnobs();
  method.estimator.branches = {3, 4, 2, 5, 2, 2, 3, 2, 4, 0};
  const auto problem = random_problem(method, ddim_steps());
  const OutputMap map(problem.rollout);
  // The outputs that are moved to the problem's.
  std::vector<double> factors;
  for (const int64_t step : problem.rollout.state_step) {
    factors.push_back(residual_scale(problem.rollout.transitions[step]));
  }
  const auto factor =
      torch::tensor(factors, torch::kFloat64).view({-1, 1, 1, 1});
  const auto raw_of = [&](const torch::Tensor& y) {
    return problem.y_ref + (y - problem.y_ref) / factor;
  };
  const auto raw = raw_of(problem.y);
  // Factors are float32.
  const auto moved =
      map.forward(raw.to(torch::kFloat), problem.y_ref.to(torch::kFloat));
  EXPECT_LT(relative(moved.to(torch::kFloat64), problem.y), 1e-6);
  const auto result = loss_of(method, problem);
  const auto clipped = result.rows.clipped.sum().item<int64_t>();
  EXPECT_GT(clipped, 0);
  EXPECT_LT(clipped, problem.rollout.rows());
  EXPECT_LT(
      relative(map.backward(result.gradient),
               published_gradient(method, problem, raw, raw_of(problem.y_old))),
      1e-6);
}

/** Answers with one number everywhere. */
class Constant : public Denoiser {
 public:
  explicit Constant(double value) : value_(value) {}
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& /*t*/,
                        const ConditionRows& /*conditions*/) override {
    return torch::full_like(x, value_);
  }

 private:
  double value_;
};

TEST(ScaledResidual, MovesOutputsFromTheReferenceByTheTimesFactor) {
  const auto steps = ddim_steps();
  Constant network(3), reference(1);
  ScaledResidual scaled(network, reference, steps);
  for (const auto& step : steps) {
    const auto y =
        scaled.predict(torch::zeros({1, 3, 2, 2}),
                       torch::full({1}, step.t, torch::kFloat), Condition{});
    if (step.s == 0) continue;
    EXPECT_NEAR(y[0][0][0][0].item<double>(), 1 + 2 * kUniformWeight / step.w(),
                1e-6 * (1 + kUniformWeight / step.w()));
  }
  EXPECT_THROW(scaled.predict(torch::zeros({1, 3, 2, 2}),
                              torch::full({1}, 0.123456f), Condition{}),
               Error);
}

}  // namespace
}  // namespace rsm
