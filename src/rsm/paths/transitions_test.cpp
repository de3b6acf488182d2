#include "rsm/paths/transitions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/random.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

torch::Tensor noise(uint64_t seed) {
  return counted_normal(seed, {3, 2, 4, 4});
}

// float32: a few ulp of values around 1, divided by s >= 0.2.
constexpr double kFloatRounding = 3e-6;

TEST(Transitions, NoiseOfAStepIsFoundAgain) {
  const auto times = FlowMatchSchedule{}.times(10);
  for (const auto& transition : flow_sde_transitions(times, 0.7)) {
    if (transition.s < 0.1) continue;
    const auto x_next = step(transition, noise(1), noise(2), noise(3));
    const auto eps = step_noise(transition, noise(1), noise(2), x_next);
    EXPECT_LT((eps - noise(3)).abs().max().item<double>(), kFloatRounding);
  }
}

TEST(Transitions, LogProbIsTheDensityPerElement) {
  const auto t = flow_sde_step(FlowMatchSchedule{}.times(10), 4, 0.7);
  const auto x = noise(1).to(torch::kFloat64);
  const auto y = noise(2).to(torch::kFloat64);
  const auto x_next = noise(3).to(torch::kFloat64);
  const auto got = log_prob(t, x, y, x_next);
  for (int64_t b = 0; b < 3; ++b) {
    const auto mean = t.a_x * x[b] + t.m_y * y[b];
    const double square = (x_next[b] - mean).square().mean().item<double>();
    const double expected = -square / (2 * t.s * t.s) - std::log(t.s) -
                            std::log(std::sqrt(2 * M_PI));
    EXPECT_NEAR(got[b].item<double>(), expected, 1e-12);
  }
}

TEST(Transitions, OdeStepIgnoresNoise) {
  const auto t = flow_ode_step(FlowMatchSchedule{}.times(10), 4);
  const auto x_next = step(t, noise(1), noise(2), noise(3));
  EXPECT_TRUE(torch::equal(x_next, step_mean(t, noise(1), noise(2))));
  EXPECT_TRUE(torch::allclose(x_next, noise(1) - t.dt() * noise(2)));
}

TEST(Transitions, HalfPrecisionIsRaisedFirst) {
  const auto t = flow_sde_step(FlowMatchSchedule{}.times(10), 4, 0.7);
  const auto half = noise(1).to(torch::kBFloat16);
  const auto mean = step_mean(t, half, half);
  EXPECT_EQ(mean.scalar_type(), torch::kFloat32);
  const auto raised = half.to(torch::kFloat32);
  EXPECT_TRUE(torch::equal(mean, step_mean(t, raised, raised)));
}

}  // namespace
}  // namespace rsm
