#include "rsm/paths/flow_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using enum SamplerNoise;

TEST(FlowPath, StepsAreThoseOfFlowMatching) {
  const FlowPath path;
  const auto times = path.times(10);
  EXPECT_EQ(times, FlowMatchSchedule{}.times(10));
  for (int64_t i = 0; i < 10; ++i) {
    expect_same(path.ode_step(times, i), flow_ode_step(times, i));
    expect_same(path.noisy_step(times, i, {usual, 0.7}),
                flow_sde_step(times, i, 0.7));
    expect_same(path.noisy_step(times, i, {cps, 0.6}),
                flow_cps_step(times, i, 0.6));
    expect_same(path.noisy_step(times, i, {constant, 0.3}),
                flow_constant_step(times, i, 0.3));
    expect_same(path.noisy_step(times, i, {churn, 0.1}),
                flow_churn_step(times, i, 0.1));
  }
}

/** To the time that as much new noise leads back from, as FDFO's release has
 * it. */
TEST(FlowPath, ChurnOvershootsAndDrawsNoiseAgain) {
  const auto times = FlowMatchSchedule{}.times(10);
  for (const double gamma : {0.0, 0.0025, 0.3}) {
    for (int64_t i = 0; i < 10; ++i) {
      const auto step = flow_churn_step(times, i, gamma);
      const double t = times[i], next = times[i + 1];
      const double beyond = next / (1 + gamma - gamma * next);
      const double scale = 1 / (1 + gamma * beyond);
      EXPECT_NEAR(step.a_x, scale, kRounding);
      EXPECT_NEAR(step.m_y, scale * (beyond - t), kRounding);
      EXPECT_NEAR(step.s,
                  scale * beyond * std::sqrt((1 + gamma) * (1 + gamma) - 1),
                  kRounding);
      const double angle = std::acos(1 / (1 + gamma));
      const auto same = flow_cps_step(times, i, 2 * angle / std::numbers::pi);
      EXPECT_NEAR(step.a_x, same.a_x, kRounding);
      EXPECT_NEAR(step.m_y, same.m_y, kRounding);
      EXPECT_NEAR(step.s, same.s, kRounding);
    }
    EXPECT_EQ(flow_churn_step(times, 9, gamma).s, 0);
  }
}

TEST(FlowPath, CpsMixesPictureAndNoiseAsPublished) {
  const auto times = FlowMatchSchedule{}.times(10);
  for (const double level : {0.0, 0.2, 0.7, 1.0}) {
    for (int64_t i = 0; i < 10; ++i) {
      const auto step = flow_cps_step(times, i, level);
      const double t = times[i];
      const double next = times[i + 1];
      const double s = next * std::sin(level * std::numbers::pi / 2);
      const double kept = std::sqrt(std::max(0.0, next * next - s * s));
      EXPECT_NEAR(step.s, s, kRounding);
      EXPECT_NEAR(step.M(), std::abs(-(1 - next) * t + (1 - t) * kept),
                  kRounding);
      for (const auto& [x, v] : {std::pair(0.7, -1.2), std::pair(-2.0, 0.4)}) {
        const double mean = (1 - next) * (x - t * v) + kept * (x + (1 - t) * v);
        EXPECT_NEAR(step.a_x * x + step.m_y * v, mean, kRounding);
      }
    }
    EXPECT_EQ(flow_cps_step(times, 9, level).s, 0);
  }
}

TEST(FlowPath, ConstantSdeCorrectsEulerByTheScore) {
  const auto times = FlowMatchSchedule{.double_shift = false}.times(20);
  for (const double diffusion : {0.3, 1.0}) {
    for (int64_t i = 0; i < 20; ++i) {
      const auto step = flow_constant_step(times, i, diffusion);
      EXPECT_EQ(step.diffusion, diffusion);
      EXPECT_NEAR(step.s, diffusion * std::sqrt(step.dt()), kRounding);
      for (const auto& [x, v] : {std::pair(0.7, -1.2), std::pair(-2.0, 0.4)}) {
        const double score = -(x + (1 - step.t) * v) / step.t;
        const double mean =
            x - step.dt() * v + diffusion * diffusion / 2 * score * step.dt();
        EXPECT_NEAR(step.a_x * x + step.m_y * v, mean, kRounding);
      }
    }
  }
}

TEST(FlowPath, ConstantSdeIsFlowSdeWhereTheirDiffusionMeets) {
  const auto times = FlowMatchSchedule{}.times(10);
  for (int64_t i = 1; i < 10; ++i) {
    const double t = times[i];
    const auto constant_step = flow_constant_step(times, i, 0.3);
    const auto sde = flow_sde_step(times, i, 0.3 / std::sqrt(t / (1 - t)));
    EXPECT_NEAR(constant_step.a_x, sde.a_x, kRounding);
    EXPECT_NEAR(constant_step.m_y, sde.m_y, kRounding);
    EXPECT_NEAR(constant_step.s, sde.s, kRounding);
  }
}

TEST(FlowPath, FirstStepsHaveNoScoreAtTimeOne) {
  const FlowPath path;
  const auto times = path.times(10);
  ASSERT_EQ(times[0], 1);
  for (const StepNoise& noise :
       {StepNoise{usual, 0.7}, StepNoise{cps, 0.7}, StepNoise{constant, 0.3}}) {
    const auto step = path.noisy_step(times, 0, noise);
    EXPECT_EQ(step.delta, 0);
    EXPECT_DOUBLE_EQ(step.M(), step.dt());
    EXPECT_TRUE(std::isfinite(step.w()));
  }
}

TEST(FlowPath, RefusesLevelsThatNoStepHas) {
  const FlowPath path;
  const auto times = path.times(10);
  const auto refused = [&](SamplerNoise kind, double level) {
    expect_parts(error_of([&] {
                   path.noisy_step(times, 3, {kind, level});
                 }),
                 {"noise level", cat(level)});
  };
  for (const double level : {-0.1, std::nan(""), HUGE_VAL}) {
    refused(usual, level);
    refused(cps, level);
    refused(constant, level);
    refused(churn, level);
  }
  refused(cps, 1.1);
  EXPECT_NO_THROW(path.noisy_step(times, 3, {usual, 1.1}));
}

/** How far the last variance is from `limit` times the pictures' after n steps
 * from t = 1, on a grid whose every step shrinks. */
double last_gap(int64_t n, const StepNoise& noise, double limit = 1) {
  const FlowPath path({.double_shift = false});
  const auto last = sampled(path, path.times(n), noise, kPicture, n);
  return last.variance / kPicture.variance - limit;
}

TEST(FlowPath, EulerAndTheConstantSdeReachPicturesAtFirstOrder) {
  for (const StepNoise& noise : {StepNoise{usual, 0}, StepNoise{constant, 0.3},
                                 StepNoise{constant, 1}}) {
    const auto gap = [&](int64_t n) { return last_gap(n, noise); };
    EXPECT_LT(std::abs(gap(3200)), 3e-3);
    // The next order's share: 0.002 at most.
    EXPECT_NEAR(order_at(1600, gap), 1, 0.01);
  }
}

TEST(FlowPath, FlowSdeReachesPicturesAtTheOrderOfItsSquaredLevel) {
  // Its diffusion is unbounded at t = 1: step k from there has
  // s~^2 dt = a^2 / k whatever n is, so it errs by what depends on k alone,
  // and the SDE forgets this as (k / n)^(a^2) until the end.
  for (const double a : {0.3, 0.5, 0.7, 0.9}) {
    const StepNoise noise = {usual, a};
    // Without the other steps' error of first order.
    const auto gap = [&](int64_t n) {
      return 2 * last_gap(2 * n, noise) - last_gap(n, noise);
    };
    // The next order's share: below 0.002.
    EXPECT_NEAR(order_at(3200, gap), a * a, 0.005);
  }
  const auto gap = [](int64_t n) { return last_gap(n, {usual, 1.2}); };
  EXPECT_NEAR(order_at(1600, gap), 1, 0.01);
}

TEST(FlowPath, CpsNarrowsTheSpreadByTheCosineOfHalfItsAngle) {
  for (const double level : {0.5, 0.7, 1.0}) {
    const double cosine = std::cos(level * std::numbers::pi / 4);
    const auto gap = [&](int64_t n) {
      return last_gap(n, {cps, level}, cosine * cosine);
    };
    EXPECT_LT(std::abs(gap(12800)), 5e-3);
    // A step settles the spread by t^2, so the last t with n t^3 = 1 is where
    // it stays behind, by t^2. The next order's share: below 0.02.
    EXPECT_NEAR(order_at(6400, gap), 2.0 / 3, 0.03);
  }
}

TEST(FlowPath, LastStepOfDiffusersGridJumpsToTheMeanOfThePicture) {
  // From the same time for every n, so what is left converges to the spread
  // of E[picture | x], not of pictures.
  const FlowPath path;
  const auto gap = [&](int64_t n) {
    const auto times = path.times(n);
    const auto x = noised(path, kPicture, times[n - 1]);
    const double slope =
        path.signal(times[n - 1]) * kPicture.variance / x.variance;
    const auto last = sampled(path, times, {usual, 0}, kPicture, n);
    return last.variance - slope * slope * x.variance;
  };
  EXPECT_LT(std::abs(gap(1600)), 2e-3);
  EXPECT_NEAR(order_at(1600, gap), 1, 0.01);
}

}  // namespace
}  // namespace rsm
