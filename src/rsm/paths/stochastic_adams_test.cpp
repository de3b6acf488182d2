#include "rsm/paths/stochastic_adams.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numeric>
#include <tuple>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/paths/adams_solver.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

// Formulas in double, numbers around 1.
constexpr double kStepRounding = 1e-14;

const FlowPath kFlow;
const DdimPath kDiffusion;

/** Noise in every step. */
StochasticAdams adams(double tau, int64_t predictor, int64_t corrector) {
  return {.tau = tau,
          .from = 0,
          .to = 1,
          .predictor_order = predictor,
          .corrector_order = corrector};
}

/** The flow's time of a lambda. */
double time_of(double lambda) { return 1 / (1 + std::exp(lambda)); }

TEST(StochasticAdams, StepsKeepAKnownPictureAndTheSpreadOfItsNoise) {
  const auto expect_kept = [](const Path& path, double t, double t_next,
                              const AdamsStep& step) {
    const double pictures =
        std::accumulate(step.shares.begin(), step.shares.end(), 0.0);
    EXPECT_NEAR(step.keep * path.signal(t) + pictures, path.signal(t_next),
                kStepRounding);
    EXPECT_NEAR(std::hypot(step.keep * path.noise(t), step.noise),
                path.noise(t_next), kStepRounding);
  };
  for (const Path* path : {static_cast<const Path*>(&kFlow),
                           static_cast<const Path*>(&kDiffusion)}) {
    // From pure noise and, of the flow, to a picture without any.
    const auto times = path->times_from(path->nearest_time(1), 10);
    for (const double tau : {0.0, 0.4, 1.0}) {
      for (int64_t order = 1; order <= 4; ++order) {
        for (int64_t i = 0; i < 10; ++i) {
          SCOPED_TRACE(cat("order ", order, ", step ", i, ", tau ", tau));
          const auto settings = adams(tau, order, order);
          expect_kept(*path, times[i], times[i + 1],
                      adams_predictor(*path, times, i, settings));
          if (const auto again = adams_corrector(*path, times, i, settings)) {
            expect_kept(*path, times[i], times[i + 1], *again);
          }
        }
      }
    }
  }
}

/** How far a step of length 1 / n is off where the picture that is predicted at
 * lambda is sin(lambda). */
double gap_of_a_step(int64_t n, double tau, int64_t order, bool corrects) {
  using Complex = std::complex<double>;
  constexpr int64_t kStep = 3;
  const double h = 1 / static_cast<double>(n);
  std::vector<double> lambda, times;
  for (int64_t k = 0; k < 9; ++k) {
    lambda.push_back(0.4 + h * static_cast<double>(k - kStep));
    times.push_back(time_of(lambda.back()));
  }
  const auto settings = adams(tau, order, order);
  const auto step = corrects
                        ? adams_corrector(kFlow, times, kStep, settings).value()
                        : adams_predictor(kFlow, times, kStep, settings);
  EXPECT_EQ(std::ssize(step.shares), order);
  double sum = 0;
  for (int64_t j = 0; j < order; ++j) {
    sum += step.shares[j] * std::sin(lambda[kStep + (corrects ? 1 : 0) - j]);
  }
  const double g = 1 + tau * tau;
  const double end = lambda[kStep + 1];
  const Complex rate(g, 1);
  const auto exact =
      g * std::exp(Complex(0, end)) * (1.0 - std::exp(-rate * h)) / rate;
  return sum - kFlow.signal(times[kStep + 1]) * exact.imag();
}

TEST(StochasticAdams, AStepOfOrderPIsOffByThePowerPPlusOne) {
  for (const double tau : {0.0, 0.4, 1.0}) {
    for (int64_t order = 1; order <= 4; ++order) {
      for (const bool corrects : {false, true}) {
        SCOPED_TRACE(cat("order ", order, ", tau ", tau));
        EXPECT_NEAR(order_at(20,
                             [&](int64_t n) {
                               return gap_of_a_step(n, tau, order, corrects);
                             }),
                    static_cast<double>(order + 1), 0.15);
      }
    }
  }
}

/** Where the solver leads normal pictures by their exact denoiser: states are
 * affine in the first one and all noise, so that they are kept as coefficients,
 * and nothing is drawn. */
Gaussian solved(const Path& path, const std::vector<double>& times,
                const StochasticAdams& settings, const Gaussian& picture) {
  const int64_t steps = std::ssize(times) - 1;
  const auto unit = [&](int64_t at, double value) {
    auto out = at::zeros({1, steps + 2}, at::kDouble);
    out[0][at] = value;
    return out;
  };
  AdamsSolver solver(path, times, settings);
  const auto first = noised(path, picture, times.front());
  auto x = unit(0, first.mean) + unit(1, std::sqrt(first.variance));
  for (int64_t i = 0; i < steps; ++i) {
    const auto output = exact_output(path, picture, times[i]);
    const double mean = noised(path, picture, times[i]).mean;
    const auto y = output.slope * (x - unit(0, mean)) + unit(0, output.middle);
    x = solver.step(x, y, unit(i + 2, 1));
  }
  return {x[0][0].item<double>(), x.slice(1, 1).square().sum().item<double>()};
}

TEST(StochasticAdams,
     SpreadOfNormalDataConvergesAtItsOrderAndTheirMeanIsExact) {
  const Gaussian picture = {0.3, 0.25};
  for (const double tau : {0.0, 0.5, 1.0}) {
    for (const auto& [predictor, corrector, order] :
         std::vector<std::tuple<int64_t, int64_t, double>>{
             {1, 0, 1}, {2, 0, 2}, {2, 2, 2}}) {
      SCOPED_TRACE(cat("tau ", tau, ", orders ", predictor, ", ", corrector));
      const auto gap = [&, p = predictor, c = corrector](int64_t n) {
        std::vector<double> times;
        for (int64_t k = 0; k <= n; ++k) {
          times.push_back(time_of(-3 + 6 * static_cast<double>(k) /
                                           static_cast<double>(n)));
        }
        const auto found = solved(kFlow, times, adams(tau, p, c), picture);
        const auto exact = noised(kFlow, picture, times.back());
        EXPECT_NEAR(found.mean, exact.mean, 1e-12);
        return found.variance - exact.variance;
      };
      EXPECT_NEAR(order_at(128, gap), order, 0.15);
    }
  }
}

TEST(StochasticAdams, UsualSettingsKeepTheSpreadOfNormalDataOnEvenTimes) {
  const Gaussian picture = {0.1, 0.25};
  const auto spread = [&](const Path& path, const std::vector<double>& times,
                          const StochasticAdams& settings) {
    const auto found = solved(path, times, settings, picture);
    EXPECT_NEAR(found.mean, path.signal(times.back()) * picture.mean, 1e-6);
    return std::sqrt(found.variance);
  };
  const auto even = [](const Path& path) {
    return path.times_from(path.times(20).front(), 20);
  };
  const auto of_flows = usual_adams(Family::flow);
  const auto of_diffusion = usual_adams(Family::diffusion);
  // Two digits, as the docs have them.
  constexpr double kDigits = 0.005;
  EXPECT_NEAR(spread(kFlow, even(kFlow), of_flows), 0.51, kDigits);
  EXPECT_NEAR(spread(kDiffusion, even(kDiffusion), of_diffusion), 0.48,
              kDigits);
  EXPECT_NEAR(spread(kFlow, even(kFlow), of_diffusion), 0.62, kDigits);
  // The last step of the usual grids begins next to 0.
  EXPECT_NEAR(spread(kFlow, kFlow.times(20), of_flows), 1.12, kDigits);
  EXPECT_NEAR(spread(kDiffusion, kDiffusion.times(20), of_diffusion), 0.63,
              kDigits);
}

TEST(StochasticAdams, WhatIsOutOfRangeIsRefused) {
  const auto times = kFlow.times(10);
  const auto error = [&](const StochasticAdams& settings) {
    return error_of([&] { adams_predictor(kFlow, times, 0, settings); });
  };
  expect_parts(error(adams(1, 5, 2)), {"order 5", "1 to 4"});
  expect_parts(error(adams(1, 0, 2)), {"order 0", "1 to 4"});
  expect_parts(error(adams(1, 2, 5)), {"order 5", "no corrector"});
  expect_parts(error(adams(-1, 2, 2)), {"tau -1", "at least 0"});
  EXPECT_THROW(adams_corrector(kFlow, times, 10, {}), Error);
}

}  // namespace
}  // namespace rsm
