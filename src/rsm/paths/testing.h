#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <vector>

#include "rsm/paths/flow_matching.h"
#include "rsm/paths/path.h"
#include "rsm/paths/transitions.h"

/** What tests of steps share, and samplers with the exact denoiser of a normal
 * distribution: their steps are affine in x, so that mean and variance are
 * known without drawing. No part of the library includes this. */
namespace rsm {

/** Published tables have six digits: half a unit in the sixth, relative. */
constexpr double kSixDigits = 5.1e-6;

/** Formulas in double, numbers around 1. */
constexpr double kRounding = 1e-12;

inline void expect_digits(double actual, double expected) {
  EXPECT_NEAR(actual, expected, kSixDigits * std::abs(expected));
}

/** The Flow-SDE step of every index of the grid. */
inline Transitions flow_sde_transitions(const std::vector<double>& times,
                                        double noise_level) {
  Transitions steps;
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    steps.push_back(flow_sde_step(times, static_cast<int64_t>(i), noise_level));
  }
  return steps;
}

/** Those of the published tables. */
inline Transitions ten_steps() {
  return flow_sde_transitions(FlowMatchSchedule{}.times(10), 0.7);
}

/** The noise that leads from x to x_next [B,C,H,W]: (x_next - mean) / s. */
inline torch::Tensor step_noise(const Transition& transition,
                                const torch::Tensor& x, const torch::Tensor& y,
                                const torch::Tensor& x_next) {
  return (x_next - step_mean(transition, x, y)) / transition.s;
}

/** [B] log-density of x_next, averaged over latent elements, not summed. */
inline torch::Tensor log_prob(const Transition& transition,
                              const torch::Tensor& x, const torch::Tensor& y,
                              const torch::Tensor& x_next) {
  const double constant =
      std::log(transition.s) + 0.5 * std::log(2 * std::numbers::pi);
  return -0.5 *
             step_noise(transition, x, y, x_next).square().flatten(1).mean(1) -
         constant;
}

struct Gaussian {
  double mean = 0;
  double variance = 0;
};

constexpr Gaussian kPicture = {.mean = -0.4, .variance = 0.36};

/** x at t where pictures are `picture`. */
inline Gaussian noised(const Path& path, const Gaussian& picture, double t) {
  const double signal = path.signal(t);
  const double noise = path.noise(t);
  return {signal * picture.mean,
          signal * signal * picture.variance + noise * noise};
}

/** E[y | x] = middle + slope (x - E[x]). */
struct ExactOutput {
  double slope = 0;
  double middle = 0;
};

inline ExactOutput exact_output(const Path& path, const Gaussian& picture,
                                double t) {
  const double variance = noised(path, picture, t).variance;
  const double of_noise = path.noise(t) / variance;
  if (path.family() == Family::diffusion) return {of_noise, 0};
  const double of_picture = path.signal(t) * picture.variance / variance;
  return {of_noise - of_picture, -picture.mean};
}

/** x' where x is `at`. */
inline Gaussian stepped(const Path& path, const Transition& step,
                        const Gaussian& at, const Gaussian& picture) {
  const auto y = exact_output(path, picture, step.t);
  const double off = at.mean - noised(path, picture, step.t).mean;
  const double gain = step.a_x + step.m_y * y.slope;
  return {step.a_x * at.mean + step.m_y * (y.middle + y.slope * off),
          gain * gain * at.variance + step.s * step.s};
}

/** x after the first `count` steps, from exactly noised pictures. */
inline Gaussian sampled(const Path& path, const std::vector<double>& times,
                        const StepNoise& noise, const Gaussian& picture,
                        int64_t count) {
  Gaussian at = noised(path, picture, times.front());
  for (int64_t i = 0; i < count; ++i) {
    at = stepped(path, path.noisy_step(times, i, noise), at, picture);
  }
  return at;
}

inline void expect_same(const Transition& a, const Transition& b) {
  EXPECT_EQ(a.t, b.t);
  EXPECT_EQ(a.t_next, b.t_next);
  EXPECT_EQ(a.a_x, b.a_x);
  EXPECT_EQ(a.m_y, b.m_y);
  EXPECT_EQ(a.s, b.s);
  EXPECT_EQ(a.diffusion, b.diffusion);
  EXPECT_EQ(a.delta, b.delta);
}

/** p where gap(n) falls as n^-p. */
inline double order_at(int64_t n, const std::function<double(int64_t)>& gap) {
  return std::log2(std::abs(gap(n) / gap(2 * n)));
}

}  // namespace rsm
