// Gradients of a linear reward on normal pictures, and where the losses that
// follow them come to rest: all of it is known in closed form.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numbers>

#include "rsm/estimators/first_order_testing.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using At = GradientKnobs::At;

constexpr Gaussian kPictures = {0, kStd* kStd};

/** Grey pictures that are linear in their latents: none leaves 0 to 1, beyond
 * which a picture has no gradient. */
class FaintPixels : public Decoder {
 public:
  static constexpr double kContrast = 0.01;
  torch::Tensor decode(const torch::Tensor& latents) const override {
    return pictures(latents);
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return 0.5 + kContrast * latents;
  }
  int64_t scale() const override { return 1; }
};

struct Linear : GradientSetting {
  using GradientSetting::GradientSetting;

  Guidance guide() {
    const GradientParts parts = {linear, faint, *path, policy, reference};
    return FirstOrder(method, 1, parts).guide(sampled, 0);
  }
  torch::Tensor slope() const {
    return FaintPixels::kContrast * linear.slope(rollout().latents);
  }

  LinearReward linear;
  FaintPixels faint;
};

/** Steps that draw as much noise as paths forget their start by: DDPM's, and
 * of flows s~^2 = 2 t / (1 - t). */
double memoryless(const Path& path) {
  return path.family() == Family::flow ? std::numbers::sqrt2 : 1;
}

/** Each step's a_x x + m_y y(x) has the slope a_x + m_y y'. */
TEST(GaussianRest, GradientsCarriedBackAreTheProductOfTheStepsSlopes) {
  for (const auto& path : both_paths()) {
    for (const bool stochastic : {false, true}) {
      Linear here(path, taken(At::adjoint, 0, stochastic));
      const auto guidance = here.guide();
      for (int64_t state = 0; state < here.rollout().states(); ++state) {
        double product = 1;
        for (int64_t i = state % kSteps; i < kSteps; ++i) {
          const auto& step = here.rollout().transitions[i];
          product *= step.a_x +
                     step.m_y * exact_output(*path, kPictures, step.t).slope;
        }
        const auto expected = product * here.slope();
        EXPECT_TRUE(
            at::allclose(here.direction_of(guidance, state), expected, 1e-5, 0))
            << name_of(*path) << " " << state;
      }
    }
  }
}

/** d E[picture | x_t] / dx_t times the slope: a prediction is linear too. */
TEST(GaussianRest, GradientsThroughThePredictedPictureAreItsSlope) {
  for (const auto& path : both_paths()) {
    Linear here(path, taken(At::network));
    const auto guidance = here.guide();
    for (const int64_t state : {0L, 2L, 5L}) {
      const double t = here.rollout().transition_of(state).t;
      const double slope = path->signal(t) * kPictures.variance /
                           noised(*path, kPictures, t).variance;
      // In float32 the two shares of a diffusion's prediction cancel to a
      // hundredth.
      EXPECT_TRUE(at::allclose(here.direction_of(guidance, state),
                               slope * here.slope(), 1e-4, 0))
          << name_of(*path) << " " << state;
    }
  }
}

/** How far a method that is at rest moves the samples' mean, of how far e^r
 * does: all outputs are y_ref + p / k_ref, where guidance and the pull to the
 * reference balance, and ODE steps start at pure noise. */
double share_of_tilt(Method method, double scale, const PathPointer& path,
                     int64_t steps) {
  method.strength.scale = scale;
  auto knobs = method.estimator.gradient;
  knobs.times = knobs.early_times = 0;
  knobs.prompt_dropout = knobs.norm_clip = 0;
  Linear here(path, knobs, steps, memoryless(*path));
  const auto guidance = here.guide();
  const auto times = path->times(steps);
  double shift = 0;
  for (int64_t i = 0; i < steps; ++i) {
    const auto& step = here.rollout().transitions[i];
    const double gradient =
        (here.direction_of(guidance, i) / here.slope()).mean().item<double>();
    const double moved = row_factors(method, step, 1).guidance * gradient /
                         kl_factor(method.regularisation, step);
    const auto ode = path->ode_step(times, i);
    const double slope = exact_output(*path, kPictures, step.t).slope;
    shift = ode.a_x * shift + ode.m_y * (slope * shift + moved);
  }
  return shift / noised(*path, kPictures, 0).variance;
}

PathPointer even_flow() {
  return std::make_shared<FlowPath>(FlowMatchSchedule{.shift = 1});
}

/** What steps cost is of first order: they halve it where they are twice as
 * many. */
void expect_limit(const Method& method, double scale, const PathPointer& path,
                  int64_t steps, double limit) {
  const auto error = [&](int64_t n) {
    return std::abs(share_of_tilt(method, scale, path, n) / limit - 1);
  };
  const double coarse = error(steps), fine = error(2 * steps);
  EXPECT_LT(fine, 0.03) << method.name << " on " << name_of(*path);
  EXPECT_LT(fine, 0.6 * coarse) << method.name << " on " << name_of(*path);
}

/** But for what ODE steps keep of pure noise's mean, where the tilt's own
 * states of that time have another (a diffusion's are not noise alone). */
double tilt_from_noise(const Path& path, int64_t steps) {
  const double t = path.times(steps).front();
  const double kept = std::sqrt(noised(path, kPictures, 0).variance /
                                noised(path, kPictures, t).variance);
  return 1 - kept * path.signal(t) / path.signal(0);
}

/** arXiv 2409.08861, proposition of its memoryless paths. */
TEST(GaussianRest, AdjointMatchingRestsAtTheTilt) {
  const auto method = find_method("adjoint-matching");
  for (const auto& [path, steps] :
       {std::pair{even_flow(), 400}, {diffusion_path(), 250}}) {
    expect_limit(method, 2, path, steps, tilt_from_noise(*path, 2 * steps));
  }
}

/** int (1 - t) / D dt over D(0), D^2 = v (1 - t)^2 + t^2 the variance of x_t:
 * of pictures as wide as the noise asinh(1) / sqrt(2), 0.62 of the tilt. */
TEST(GaussianRest, TheRedesignOfFlowsRestsWhereItsIntegralSays) {
  const double v = kPictures.variance, both = 1 + v;
  const double of_one =
      (std::asinh(1 / kStd) + std::asinh(kStd)) / std::sqrt(both);
  const double limit = (of_one - 1 + kStd) / both / kStd;
  expect_limit(find_method("rsm-first-flow"), 1, even_flow(), 200, limit);
}

/** Of a diffusion every score is moved by the whole gradient, int rho /
 * (sqrt(1 + rho^2) sqrt(v + rho^2)) d rho, rho = noise / signal: it grows as
 * the logarithm of the noise it starts from, to several times the tilt. */
TEST(GaussianRest, TheRedesignOfDiffusionsRestsWhereItsIntegralSays) {
  const auto path = diffusion_path();
  constexpr int64_t kSome = 250;
  const auto at = [&](double t) {
    const double rho = path->noise(t) / path->signal(t);
    return std::log(std::hypot(1, rho) + std::hypot(kStd, rho));
  };
  const double integral = at(path->times(2 * kSome).front()) - at(0);
  const double limit = integral * path->signal(0) /
                       std::sqrt(noised(*path, kPictures, 0).variance);
  expect_limit(find_method("rsm-first-diffusion"), 2, path, kSome, limit);
  EXPECT_GT(limit, 4);
}

}  // namespace
}  // namespace rsm
