#include "rsm/paths/forward.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"

namespace rsm {
namespace {

using Times = PictureKnobs::Times;

/** Mean of f over even shares. */
template <typename F>
double mean(const PictureKnobs& knobs, const F& f) {
  constexpr int kShares = 20000;
  double sum = 0;
  for (int i = 0; i < kShares; ++i) {
    sum += f(drawn_time(knobs, {}, (i + 0.5) / kShares));
  }
  return sum / kShares;
}

TEST(DrawnTime, HasTheDensityItSays) {
  PictureKnobs knobs;
  EXPECT_NEAR(mean(knobs, [](double t) { return t * t; }), 1.0 / 3, 1e-6);
  knobs.times = Times::power;
  knobs.power = 1;
  // p(t) = 2 t
  EXPECT_NEAR(mean(knobs, [](double t) { return t; }), 2.0 / 3, 1e-6);
  knobs.t_min = 0.5;
  // p(t) = 2 t / (1 - 1/4)
  EXPECT_NEAR(mean(knobs, [](double t) { return t; }), 7.0 / 9, 1e-6);
  knobs = {};
  knobs.times = Times::logit_normal;
  EXPECT_NEAR(mean(knobs, [](double t) { return std::log(t / (1 - t)); }), 0,
              1e-6);
  EXPECT_NEAR(mean(knobs,
                   [](double t) {
                     const double z = std::log(t / (1 - t));
                     return z * z;
                   }),
              1, 1e-3);
}

TEST(DrawnTime, IsShiftedAndStaysWithinItsBounds) {
  PictureKnobs knobs;
  knobs.shift = 3;
  EXPECT_DOUBLE_EQ(drawn_time(knobs, {}, 0.5), 3 * 0.5 / (1 + 2 * 0.5));
  knobs = {};
  knobs.t_min = 0.2;
  knobs.t_max = 0.4;
  for (const auto times : {Times::uniform, Times::power, Times::logit_normal}) {
    knobs.times = times;
    for (const double u : {0.0, 0.3, 0.999}) {
      const double t = drawn_time(knobs, {}, u);
      EXPECT_GE(t, 0.2);
      EXPECT_LE(t, 0.4);
    }
  }
}

TEST(DrawnTime, TakesTheSamplersSteps) {
  PictureKnobs knobs;
  knobs.times = Times::grid;
  const std::vector<double> grid = {1, 0.75, 0.5, 0.25, 0};
  std::vector<double> found;
  for (int i = 0; i < 4; ++i) {
    found.push_back(drawn_time(knobs, grid, (i + 0.99) / 4));
  }
  EXPECT_EQ(found, (std::vector<double>{0.25, 0.5, 0.75, 1}));
  knobs.t_max = 0.6;
  EXPECT_EQ(drawn_time(knobs, grid, 0.99), 0.5);
  knobs.t_min = 0.55;
  EXPECT_THROW(drawn_time(knobs, grid, 0.5), Error);
}

TEST(ForwardRow, KnowsWhatAnOutputSaysOfTheScore) {
  const FlowPath flow;
  const DdimPath diffusion;
  EXPECT_NEAR(forward_row(flow, 0.3).delta, 0.7 / 0.3, 1e-12);
  EXPECT_NEAR(forward_row(diffusion, 0.3).delta, 1 / diffusion.noise(0.3),
              1e-12);
  EXPECT_EQ(forward_row(flow, 0.3).reach, 0.3);
}

/** x0hat - x0 = +-noise (y - y_c), the picture's own size. */
TEST(ForwardRow, HasTheNoiseThatThePredictedPictureIsOffBy) {
  const FlowPath flow;
  const DdimPath diffusion;
  const auto picture = at::scalar_tensor(0.6, at::kDouble);
  const auto eps = at::scalar_tensor(-1.3, at::kDouble);
  constexpr double kOff = 0.2;  // y - y_c
  for (const Path* path : {static_cast<const Path*>(&flow),
                           static_cast<const Path*>(&diffusion)}) {
    for (const double t : {0.05, 0.5, 0.95}) {
      const auto x = path->signal(t) * picture + path->noise(t) * eps;
      const auto [of_x, of_y] = path->prediction(t);
      const auto predicted =
          of_x * x + of_y * (path->target(picture, eps) + kOff);
      EXPECT_NEAR((predicted - picture).abs().item<double>(),
                  kOff * forward_row(*path, t).reach, 1e-12);
    }
  }
}

TEST(NearestTime, IsOneThatTheNetworkKnows) {
  EXPECT_EQ(FlowPath().nearest_time(0.1234567), 0.1234567);
  EXPECT_EQ(DdimPath().nearest_time(0.1234567), 0.123);
  EXPECT_EQ(DdimPath().nearest_time(0), 0.001);
  EXPECT_EQ(DdimPath().nearest_time(1), 0.999);
}

}  // namespace
}  // namespace rsm
