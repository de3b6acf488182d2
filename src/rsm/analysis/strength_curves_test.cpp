#include "rsm/analysis/strength_curves.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/analysis/score_tables_testing.h"
#include "rsm/analysis/short_stride_testing.h"
#include "rsm/analysis/strength_tables_testing.h"
#include "rsm/base/error.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"
#include "rsm/paths/testing.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/rollouts/gaussian_testing.h"
#include "rsm/rollouts/plan.h"

namespace rsm {
namespace {

Method scaled(const std::string& name, double scale) {
  auto method = find_method(name);
  method.strength.scale = scale;
  return method;
}

StrengthOptions of_steps(int64_t steps) {
  StrengthOptions options;
  options.steps = steps;
  return options;
}

StrengthCurve curve(const Method& method, const Path& path, int64_t steps) {
  return strength_curves({method}, path, of_steps(steps)).at(0);
}

void expect_table(const std::vector<ResidualLine>& table) {
  const auto steps = static_cast<int64_t>(table.size());
  const auto path = diffusion_path();
  const auto base = curve(scaled("residual-db-pruned", 1), *path, steps);
  // Its guidance is half the published residual's slope.
  const auto redesign = curve(scaled("rsm-first-diffusion", 2), *path, steps);
  ASSERT_EQ(base.at.size(), table.size());
  ASSERT_EQ(redesign.at.size(), table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    expect_digits(base.at[i].h, table[i].h);
    expect_digits(base.at[i].c1, table[i].c1);
    expect_digits(base.at[i].c2_relative, table[i].relative);
    expect_digits(redesign.at[i].h, table[i].redesign_h);
    expect_digits(redesign.at[i].c1, table[i].redesign_c1);
    expect_digits(redesign.at[i].c2_relative, table[i].redesign_relative);
    // C2 itself: a weight of 100 over the squared slope of the score.
    expect_digits(base.at[i].c2, table[i].relative * table[i].c1);
  }
}

TEST(StrengthCurves, ReproduceTheTableOfFiftyDdimSteps) {
  expect_table(kFiftySteps);
}

TEST(StrengthCurves, ReproduceTheTableOfTwentyDdimSteps) {
  expect_table(kTwentySteps);
}

/** As published, its guidance and its pull to the reference alike. */
void expect_short_strides(const std::vector<ShortStride>& table,
                          const std::string& name) {
  const auto steps = static_cast<int64_t>(table.size());
  const auto path = diffusion_path();
  const auto corrected = curve(find_method(name), *path, steps);
  const auto released = curve(find_method(name, true), *path, steps);
  const auto taken = path->noisy_steps(path->times(steps), {.level = 1});
  for (size_t i = 0; i < table.size(); ++i) {
    expect_digits(taken[i].s, table[i].s);
    expect_digits(taken[i].s * std::sqrt(taken[i].short_stride_ratio),
                  table[i].released);
    const double more = taken[i].short_stride_ratio;
    const auto &at = released.at[i], &before = corrected.at[i];
    EXPECT_NEAR(at.h, more * before.h, 1e-12 * at.h) << i;
    EXPECT_NEAR(at.c1, more * before.c1, 1e-12 * at.c1) << i;
    EXPECT_NEAR(at.gamma, before.gamma, 1e-12 * at.gamma) << i;
    EXPECT_NEAR(at.c2, before.c2, 1e-12 * at.c2) << i;
  }
}

TEST(StrengthCurves, AsPublishedTakeTheReleasesShortStride) {
  for (const std::string name : {"rsm-first-diffusion", "residual-db-sigma"}) {
    expect_short_strides(kFiftyShortStrides, name);
    expect_short_strides(kTwentyShortStrides, name);
  }
  // Its baseline, whose loss takes no other s than the step's own.
  const auto path = diffusion_path();
  const auto of = [&](bool as_published) {
    return h_of(
        curve(find_method("residual-db-pruned", as_published), *path, 50));
  };
  EXPECT_EQ(of(true), of(false));
}

TEST(StrengthCurves, ReproduceTheTableOfTwentyFlowSteps) {
  const auto path = flow_path();
  const auto quadratic = curve(find_method("vgg-flow-pruned"), *path, 20);
  const auto linear = curve(scaled("vgg-flow-linear", 3e7), *path, 20);
  const auto redesign = curve(find_method("rsm-first-flow"), *path, 20);
  for (size_t i = 0; i < kFlowSteps.size(); ++i) {
    expect_digits(quadratic.at[i].h, kFlowSteps[i].quadratic);
    expect_digits(linear.at[i].h, kFlowSteps[i].linear);
    expect_digits(redesign.at[i].h, kFlowSteps[i].redesign);
  }
}

TEST(StrengthCurves, ReproduceTheTableOfSoftQ) {
  const auto h = normalised(
      h_of(curve(find_method("sqdf"), *diffusion_path(), 50)), Normalised::max);
  ASSERT_EQ(h.size(), kSoftQ.size());
  for (size_t i = 0; i < h.size(); ++i) expect_digits(h[i], kSoftQ[i]);
}

/** gamma is that of s^2 / Omega times a gradient there, and of the scale times
 * it in the table. */
TEST(StrengthCurves, ReproduceTheScoresOfTwentyFlowSteps) {
  const auto path = flow_path();
  const StepNoise noise = {.level =
                               usual_level(SamplerNoise::usual, Family::flow)};
  const auto expect_column = [&](const std::string& name,
                                 double FlowScoreLine::*gamma) {
    const auto method = scaled(name, 1);
    const auto steps = make_plan(method, 20, noise).transitions(*path);
    ASSERT_EQ(steps.size(), kFlowScores.size());
    for (size_t i = 0; i < steps.size(); ++i) {
      const auto& step = steps[i];
      const auto factors = score_factors(method, step);
      if (i == 0) {
        EXPECT_EQ(factors.c1, kFlowScores[i].c1);
      } else {
        expect_digits(factors.c1, kFlowScores[i].c1);
      }
      expect_digits(factors.gamma * step.s * step.s / step.omega(),
                    kFlowScores[i].*gamma);
    }
  };
  expect_column("vgg-flow-pruned", &FlowScoreLine::quadratic);
  expect_column("rsm-first-flow", &FlowScoreLine::linear);
}

/** The release's own schedule: roots of beta from those of 0.002 to 0.009, the
 * last timestep of each fiftieth, and beyond them all half of what is left. */
DdimPath adjoint_path() {
  const DdimSchedule schedule = {.beta_start = 0.002, .beta_end = 0.009};
  const auto all = schedule.alpha_bars();
  std::vector<double> alpha_bars = {(1 + all[19]) / 2};
  std::vector<int64_t> grid = {0};
  for (int64_t part = 1; part <= 50; ++part) {
    alpha_bars.push_back(all[20 * part - 1]);
    grid.insert(grid.begin(), part);
  }
  return {alpha_bars, grid};
}

TEST(StrengthCurves, ReproduceTheTableOfAdjointMatching) {
  const auto path = adjoint_path();
  // Its guidance is half the multiplier's.
  const auto h = h_of(curve(scaled("adjoint-matching", 2), path, 50));
  const auto steps = path.noisy_steps(path.times(50), {.level = 1});
  ASSERT_EQ(h.size(), kAdjointSteps.size());
  for (size_t i = 0; i < h.size(); ++i) {
    const auto& line = kAdjointSteps[i];
    expect_digits(std::pow(path.signal(steps[i].t), 2), line.alpha_bar);
    expect_digits(steps[i].s, line.s);
    expect_digits(steps[i].w(), line.w);
    expect_digits(h[i], line.h);
  }
}

/** r / alpha, as figure 1(c) shows of a policy gradient with KL. */
TEST(StrengthCurves, OfAPolicyGradientPullToTheOldPolicyAlikeAtAllTimes) {
  auto method = find_method("reinforce-kl");
  method.regularisation.beta = 1e-2;
  for (const auto& path : both_paths()) {
    for (const auto& at : curve(method, *path, 10).at) {
      EXPECT_NEAR(at.c2_relative, 100, 1e-9) << at.step;  // formulas in double
      // At t = 1 of a flow the score says nothing of the output.
      EXPECT_EQ(std::isfinite(at.c2),
                at.t < 1 || path->family() == Family::diffusion);
    }
  }
}

TEST(StrengthCurves, OfEveryMethodAreThoseTrainingTakes) {
  for (const auto& path : both_paths()) {
    for (const auto& method : catalogue()) {
      if (!method.is_for(path->family())) continue;
      const auto found = curve(method, *path, kCatalogueSteps);
      const auto shares = normalised(h_of(found), Normalised::sum);
      EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12)
          << method.name;
      for (const auto& at : found.at) {
        EXPECT_GE(at.h, 0) << method.name;
        if (at.rows == 0) {
          EXPECT_EQ(at.c2_relative, 0) << method.name;
        }
        if (std::isfinite(at.c1) && at.c1 > 0 && std::isfinite(at.c2)) {
          EXPECT_NEAR(at.c2, at.c1 * at.c2_relative, 1e-12 * std::abs(at.c2))
              << method.name;
        }
      }
    }
  }
}

TEST(StrengthCurves, TakeTheNoiseThatIsAskedForOfItsSampler) {
  const auto path = flow_path();
  const auto method = find_method("flow-grpo");
  auto options = of_steps(10);
  const auto usual = strength_curves({method}, *path, options)[0];
  options.noise.level = 0.7;
  EXPECT_EQ(h_of(strength_curves({method}, *path, options)[0]), h_of(usual));
  options.noise.level = 0.3;
  const auto less = strength_curves({method}, *path, options)[0];
  EXPECT_LT(less.at[1].h, usual.at[1].h);
  options.noise.kind = SamplerNoise::cps;
  EXPECT_EQ(h_of(strength_curves({method}, *path, options)[0]), h_of(usual));
}

TEST(StrengthCurves, RefuseTheOtherFamily) {
  EXPECT_THROW(curve(find_method("vgg-flow"), *diffusion_path(), 10),
               UsageError);
  // A budget that is listed for ten steps.
  EXPECT_THROW(curve(find_method("rsm-flow"), *flow_path(), 12), UsageError);
}

TEST(Normalised, LeavesOutWhatIsNotFinite) {
  const std::vector<double> values = {INFINITY, 1, 3};
  EXPECT_EQ(normalised(values, Normalised::max)[2], 1);
  EXPECT_EQ(normalised(values, Normalised::sum)[1], 0.25);
  EXPECT_EQ(normalised(values, Normalised::none), values);
  EXPECT_EQ(normalised({0, 0}, Normalised::sum), (std::vector<double>{0, 0}));
}

TEST(StrengthTable, HasARowForEveryStepAndDrawsEveryMethod) {
  const auto path = flow_path();
  const auto curves = strength_curves(
      {find_method("flow-grpo"), find_method("rsm-flow")}, *path, of_steps(10));
  const auto table = strength_table(curves, of_steps(10));
  ASSERT_EQ(table.rows.size(), 18u);
  for (const auto& row : table.rows) {
    EXPECT_EQ(row.size(), table.head.size());
    for (const auto& cell : row) EXPECT_EQ(cell.find("inf"), std::string::npos);
  }
  for (const auto& svg :
       {strength_plot(curves, of_steps(10)), pull_plot(curves, of_steps(10))}) {
    EXPECT_EQ(report::tag_problem(svg), "");
    EXPECT_NE(svg.find("rsm-flow"), std::string::npos);
  }
}

}  // namespace
}  // namespace rsm
