#include "rsm/worlds/gaussian_mixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

// float64 of numbers around 10.
constexpr double kRounding = 1e-11;

GaussianMixture some_mixture() {
  return {torch::tensor({2.0, -1.0, -0.5, 3.0, 0.25, 0.5}, at::kDouble)
              .view({3, 2}),
          torch::tensor({0.3, -1.2, 0.8}, at::kDouble)};
}

/** Two batches of five points. */
torch::Tensor some_points() {
  return at::linspace(-3, 4, 20, at::kDouble).view({2, 2, 5}).clone();
}

torch::Tensor some_signals() {
  return torch::tensor({0.3, 0.9}, at::kDouble).view({2, 1, 1});
}

/** log of the noised density, written down again. */
torch::Tensor log_density(const GaussianMixture& mixture,
                          const torch::Tensor& x, const torch::Tensor& signal) {
  const auto apart =
      x.unsqueeze(1) - signal.unsqueeze(1) * mixture.means().view({1, 3, 2, 1});
  return (mixture.log_weights().view({1, 3, 1}) - 0.5 * apart.square().sum(2) -
          std::log(2 * std::numbers::pi))
      .logsumexp(1);
}

TEST(GaussianMixture, ItsScoreIsTheGradientOfItsLogDensity) {
  const auto mixture = some_mixture();
  const auto signal = some_signals();
  const auto x = some_points().requires_grad_(true);
  const auto gradient =
      torch::autograd::grad({log_density(mixture, x, signal).sum()}, {x})[0];
  EXPECT_TRUE(at::allclose(mixture.score(x.detach(), signal), gradient,
                           kRounding, kRounding));
}

TEST(GaussianMixture, PictureAndNoiseMakeUpTheState) {
  const auto mixture = some_mixture();
  const auto signal = some_signals();
  const auto x = some_points();
  const auto made = signal * mixture.picture(x, signal) +
                    (1 - signal.square()).sqrt() * mixture.noise(x, signal);
  EXPECT_TRUE(at::allclose(made, x, kRounding, kRounding));
  // Without noise a point is its own picture.
  EXPECT_TRUE(at::allclose(mixture.picture(x, at::ones_like(signal)), x));
}

TEST(GaussianMixture, JacobiansAreThoseOfTheirFunctions) {
  const auto mixture = some_mixture();
  const auto signal = some_signals();
  const auto x = some_points().requires_grad_(true);
  const auto v = at::linspace(1, -2, 20, at::kDouble).view({2, 2, 5});
  const auto by_noise =
      torch::autograd::grad({(mixture.noise(x, signal) * v).sum()}, {x})[0];
  const auto by_mean =
      torch::autograd::grad({(mixture.mean(x, signal) * v).sum()}, {x})[0];
  const auto at = x.detach();
  EXPECT_TRUE(at::allclose(mixture.noise_jacobian_times(at, signal, v),
                           by_noise, kRounding, kRounding));
  EXPECT_TRUE(at::allclose(signal * mixture.covariance_times(at, signal, v),
                           by_mean, kRounding, kRounding));
}

TEST(GaussianMixture, RefusesShapesThatDoNotFit) {
  expect_parts(error_of([] {
                 GaussianMixture(at::zeros({3, 2}, at::kDouble),
                                 at::zeros({2}, at::kDouble));
               }),
               {"[mixture]", "[3, 2]", "[2]"});
}

}  // namespace
}  // namespace rsm
