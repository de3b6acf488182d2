// Tables of methods that follow a reward's gradient.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "rsm/objective/strength.h"
#include "rsm/objective/trajectories_testing.h"

namespace rsm {
namespace {

constexpr double kDigits = 5e-6;  // half a unit of the tables' sixth digit

void expect_near(double got, double expected, int64_t step) {
  EXPECT_NEAR(got, expected, kDigits * std::abs(expected)) << step;
}

/** i, h / b, C1, C2 relative to it with a weight of 100. */
struct Line {
  int64_t step;
  double h, c1, c2;
};

void expect_lines(Method method, double unit, const std::vector<Line>& lines) {
  method.strength.scale = unit;
  const auto steps = steps_of(method, *diffusion_path(), 50);
  for (const auto& line : lines) {
    const auto& step = steps[line.step];
    const auto factors = score_factors(method, step);
    expect_near(guidance_strength(method.strength, step), line.h, line.step);
    expect_near(factors.c1, line.c1, line.step);
    expect_near(factors.c2 / factors.c1, line.c2, line.step);
  }
}

TEST(FirstOrderStrength, IsThatOfTheTablesOnFiftyStepsOfDdim) {
  expect_lines(find_method("residual-db-pruned"), 1,
               {{0, 0.00821246, 1.26462, 78.6181},
                {10, 0.0575725, 1.20176, 79.595},
                {25, 0.432048, 1.18983, 58.6392},
                {48, 82.8076, 134.991, 0.0145338},
                {49, 48.5432, 4.02215, 0.0423647}});
  expect_lines(find_method("rsm-first-diffusion"), 2,
               {{0, 0.232936, 0.261192, 380.649},
                {10, 0.171142, 0.183492, 521.299},
                {25, 0.108079, 0.0984734, 708.521},
                {48, 0.129287, 0.210401, 9.32467},
                {49, 0.0207142, 0.00171486, 99.3653}});
}

/** The milder of Residual grad-DB's two factors: over the signal, the table's
 * column of h. C1 and C2 do not know of it. */
TEST(FirstOrderStrength, OfTheSignalItselfIsTheTablesOverTheSignal) {
  auto method = find_method("residual-db-pruned");
  method.strength.shape = StrengthKnobs::Shape::residual_linear;
  expect_lines(method, 1,
               {{0, 0.09624, 1.26462, 78.6181},
                {10, 0.254031, 1.20176, 79.595},
                {25, 0.751136, 1.18983, 58.6392},
                {48, 82.8783, 134.991, 0.0145338},
                {49, 48.5639, 4.02215, 0.0423647}});
}

/** A step of fifty: h / b, and how far b times a gradient moves the output. */
struct Shift {
  int64_t step;
  double h, shift;
};

struct Residual {
  std::string name;
  double unit;  ///< of StrengthKnobs::scale where b is 1
  std::vector<Shift> shifts;
};

const std::vector<Residual> kResiduals = {{"residual-db-pruned",
                                           1,
                                           {{0, 0.00821246, -0.00645648},
                                            {25, 0.432048, -0.253349},
                                            {48, 82.8076, -0.0120351}}},
                                          {"rsm-first-diffusion",
                                           2,
                                           {{0, 0.232936, -0.886669},
                                            {25, 0.108079, -0.765762},
                                            {48, 0.129287, -0.0120556}}}};

Trajectories residuals(const Residual& of) {
  auto method = find_method(of.name);
  method.regularisation.old = 0;
  Trajectories out(method, *diffusion_path(), 50);
  out.method.strength.scale = of.unit;
  return out;
}

/** Of a mean over states and their elements. */
torch::Tensor loss_slope(const Trajectories& all) {
  return all.loss_gradient() * all.elements() *
         static_cast<double>(all.rollout.states());
}

TEST(FirstOrderLoss, HasTheRewardsGradientTwiceHTimes) {
  for (const auto& residual : kResiduals) {
    auto all = residuals(residual);
    const auto gradients = all.guidance.directions.value.clone();
    const auto with = loss_slope(all);
    all.guidance.directions.value.zero_();
    const auto added = with - loss_slope(all);
    for (const auto& [step, h, shift] : residual.shifts) {
      const auto gradient = gradients[all.guidance.directions.of_row[step]];
      EXPECT_TRUE(at::allclose(added[step], 2 * h * gradient, kDigits, 1e-9))
          << residual.name << " " << step;
    }
  }
}

TEST(FirstOrderLoss, RestsWhereItsTargetIs) {
  for (const auto& residual : kResiduals) {
    auto all = residuals(residual);
    const auto& reference = all.outputs.reference.y;
    all.y = reference.clone();
    const auto before = loss_slope(all);
    for (const auto& [step, h, shift] : residual.shifts) {
      all.y[step].copy_(reference[step] + shift * all.gradient_of(step));
    }
    const auto after = loss_slope(all);
    for (const auto& [step, h, shift] : residual.shifts) {
      EXPECT_LT(after[step].norm().item<double>(),
                2 * kDigits * before[step].norm().item<double>())
          << residual.name << " " << step;
    }
  }
}

/** s = -(x + (1 - t) v) / t */
TEST(FirstOrderStrength, PullsScoresAsItPullsTheVelocitiesTheyAreOf) {
  constexpr double kTime = 0.3;
  const auto x = Trajectories::random(1, 1);
  const auto score = [&](const torch::Tensor& v) {
    return -(x + (1 - kTime) * v) / kTime;
  };
  const auto v = Trajectories::random(1, 2), other = Trajectories::random(1, 3);
  const double ratio =
      ((v - other).square().sum() / (score(v) - score(other)).square().sum())
          .item<double>();
  const auto step = flow_path()->noisy_step({kTime, 0.2}, 0, {});
  const auto factors = score_factors(find_method("vgg-flow-pruned"), step);
  EXPECT_NEAR(factors.c1, ratio, 1e-12);
  expect_near(factors.c1, 0.183673, 0);
}

TEST(FirstOrderStrength, OfSoftQIsThatOfItsTable) {
  auto method = find_method("sqdf");
  method.strength.scale = 1;
  const auto steps = steps_of(method, *diffusion_path(), 50);
  const std::map<int64_t, double> table = {{0, 0.000666944},
                                           {10, 0.00140535},
                                           {25, 0.00431054},
                                           {48, 0.0581792},
                                           {49, 0.0103571}};
  for (const auto& [step, h] : table) {
    expect_near(guidance_strength(method.strength, steps[step]) *
                    std::pow(method.estimator.gradient.discount, 49 - step),
                h, step);
  }
}

TEST(FirstOrderStrength, IsThatOfTheTablesOnTwentyStepsOfAFlow) {
  const std::map<std::string, std::map<int64_t, double>> tables = {
      {"vgg-flow-pruned",
       {{0, 0}, {1, 9855.91}, {10, 2.17124e+06}, {19, 2.94667e+07}}},
      {"vgg-flow-linear",
       {{0, 0}, {1, 543762}, {10, 8.07077e+06}, {19, 2.97321e+07}}},
      {"rsm-first-flow",
       {{0, 0}, {1, 271881}, {10, 4.03539e+06}, {19, 1.48661e+07}}}};
  for (const auto& [name, table] : tables) {
    const auto method = find_method(name);
    const auto steps = steps_of(method, *flow_path(), 20);
    for (const auto& [step, h] : table) {
      expect_near(guidance_strength(method.strength, steps[step]), h, step);
      expect_near(row_factors(method, steps[step], 1).guidance, -h, step);
    }
  }
}

TEST(FirstOrderLoss, MovesAnOutputByWhatItsTargetSays) {
  // t = 0.5, v_ref = 0.25, g = 2e-8.
  const auto target = [](const std::string& name) {
    auto method = find_method(name);
    Transition step;
    step.t = 0.5;
    step.t_next = 0.4;
    step.m_y = -0.1;
    step.s = 1;
    return 0.25 + row_factors(method, step, 1).guidance * 2e-8;
  };
  EXPECT_NEAR(target("vgg-flow-pruned"), 0.1, 1e-9);
  EXPECT_NEAR(target("vgg-flow-linear"), -0.05, 1e-9);
  EXPECT_NEAR(target("rsm-first-flow"), 0.1, 1e-9);
}

}  // namespace
}  // namespace rsm
