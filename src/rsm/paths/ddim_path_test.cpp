#include "rsm/paths/ddim_path.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using enum SamplerNoise;

/** The noise of Stable Diffusion 1.x in finer steps. */
DdimSchedule with_timesteps(int64_t count) {
  const auto steps = static_cast<double>(count);
  return {
      .beta_start = 0.85 / steps, .beta_end = 12 / steps, .train_steps = count};
}

TEST(DdimPath, SignalAndNoiseAreThoseOfTheTimestep) {
  const DdimSchedule schedule;
  const DdimPath path(schedule);
  const auto alpha_bars = schedule.alpha_bars();
  for (int64_t k = 0; k < 1000; ++k) {
    const double t = static_cast<double>(k) / 1000;
    EXPECT_NEAR(std::pow(path.signal(t), 2), alpha_bars[k], kRounding);
    EXPECT_NEAR(std::pow(path.noise(t), 2), 1 - alpha_bars[k], kRounding);
    // As times are in tensors.
    EXPECT_EQ(path.signal(static_cast<float>(t)), path.signal(t));
  }
  for (const double t : {-0.001, 0.0005, 0.9995, 1.0, std::nan("")}) {
    expect_parts(error_of([&] { path.signal(t); }),
                 {"t = ", "0 to 999", "divided by 1000"});
  }
}

TEST(DdimPath, StepsAreThoseOfDdim) {
  const DdimSchedule schedule;
  const DdimPath path(schedule);
  const auto alpha_bars = schedule.alpha_bars();
  const auto timesteps = schedule.timesteps(50);
  const auto times = path.times(50);
  const auto point = [&](int64_t i) {
    return DdimPoint{times[i], alpha_bars[timesteps[i]]};
  };
  for (int64_t i = 0; i < 50; ++i) {
    const auto step = [&](const DdimNoise& noise) {
      return ddim_step(point(i), point(i + 1), noise);
    };
    expect_same(path.ode_step(times, i), step({.eta = 0}));
    expect_same(path.noisy_step(times, i, {usual, 0.3}), step({.eta = 0.3}));
    expect_same(path.noisy_step(times, i, {even_weight, 0.6, 7}),
                step({.eta = 0.6, .weight = 7}));
  }
}

TEST(DdimPath, TimesInBetweenAreRoundedToTimesteps) {
  const DdimPath path;
  const std::vector<double> quarters = {0.981, 0.736, 0.491, 0.245, 0};
  EXPECT_EQ(path.times_from(0.981, 4), quarters);
  expect_parts(error_of([&] { path.times_from(0.021, 22); }),
               {"22 steps", "t = 0.021", "1 to 21"});
}

TEST(DdimPath, LastStepsOfDdpmCostALogarithmOfTheStepsInSpread) {
  // Near a picture noise^2 is b t. Step k from the end lacks 1 / k^2 of
  // Var(picture | x) = b k t_first / n; the sum over k is a logarithm of n, so
  // the spread is off by log(n) / n, not by 1 / n.
  constexpr double kFirst = 0.9;
  constexpr double kBeta = 0.85;  // b: beta_start times the timesteps
  const DdimPath path(with_timesteps(288000));
  const double exact = noised(path, kPicture, 0).variance;
  const auto scaled_gap = [&](int64_t n) {
    const auto times = path.times_from(kFirst, n);
    const auto last = sampled(path, times, {usual, 1}, kPicture, n);
    return static_cast<double>(n) * (exact - last.variance);
  };
  // The next order's share: below 0.004.
  const double rise = kBeta * kFirst * std::log(2);
  EXPECT_NEAR((scaled_gap(200) - scaled_gap(100)) / rise, 1, 0.01);
  EXPECT_NEAR((scaled_gap(400) - scaled_gap(200)) / rise, 1, 0.01);
}

TEST(DdimPath, EvenWeightsNarrowTheSpread) {
  // s stays a share 2 W / (1 + W^2) of the noise however short the steps are:
  // the sine of an angle, of whose half the cosine is W / sqrt(1 + W^2).
  constexpr double kWeight = 4.5;
  const double limit = kWeight * kWeight / (1 + kWeight * kWeight);
  const auto gap = [&](int64_t n) {
    const DdimPath path(with_timesteps(16 * n));
    const auto last =
        sampled(path, path.times(n), {even_weight, 1, kWeight}, kPicture, n);
    return last.variance / kPicture.variance - limit;
  };
  EXPECT_LT(std::abs(gap(2000)), 1e-2);
  // A step settles the spread by noise^2, which grows evenly: where its square
  // is 1 / n the spread stays behind. So 1 / 2 in the end.
  EXPECT_GT(order_at(1000, gap), 0.5);
  EXPECT_LT(order_at(1000, gap), 0.7);
}

TEST(DdimPath, TakesDdpmsNoiseWhereNoneHasTheWeight) {
  const DdimPath path{DdimSchedule{}};
  const auto times = path.times(10);
  const auto even = [&](int64_t i) {
    return path.noisy_step(times, i, {SamplerNoise::even_weight, 1, 4.5});
  };
  const auto ddpm = [&](int64_t i) {
    return path.noisy_step(times, i, {SamplerNoise::usual, 1, 4.5});
  };
  // 101 -> 1 needs a weight of 8.4 or more; 201 -> 101 has 4.5.
  EXPECT_EQ(even(8).s, ddpm(8).s);
  EXPECT_NE(even(7).s, ddpm(7).s);
  for (const double weight : {-4.5, 0.0, 1.0, std::nan("")}) {
    expect_parts(error_of([&] {
                   path.noisy_step(times, 3, {even_weight, 1, weight});
                 }),
                 {"even_weight", cat(weight), "above 1"});
  }
}

TEST(DdimPath, TakesAnyNoiseOnAGridOfItsOwn) {
  const std::vector<double> alpha_bars = {1, 0.9, 0.6, 0.3};
  const DdimPath path(alpha_bars, {3, 2, 0});
  const auto times = path.times(2);
  ASSERT_EQ(times.size(), 3U);
  for (size_t i = 0; i < times.size(); ++i) {
    const std::vector<double> there = {0.3, 0.6, 1};
    EXPECT_NEAR(std::pow(path.signal(times[i]), 2), there[i], kRounding);
  }
  const auto first = path.noisy_step(times, 0, {usual, 1});
  EXPECT_NEAR(first.s * first.s, (1 - 0.6) / (1 - 0.3) * (1 - 0.3 / 0.6),
              kRounding);
  // The last step ends at the picture that the output says.
  const auto last = path.noisy_step(times, 1, {usual, 1});
  const auto picture = path.prediction(times[1]);
  EXPECT_EQ(last.s, 0);
  EXPECT_NEAR(last.a_x, picture.x, kRounding);
  EXPECT_NEAR(last.m_y, picture.y, kRounding);
}

TEST(DdimPath, AStepWithoutNoiseHasNoShorterOne) {
  const DdimPath path({1.0, 0.6, 0.3}, {2, 1, 0});
  const auto steps = path.noisy_steps(path.times(2), {.level = 1});
  EXPECT_EQ(steps[0].short_stride_ratio, 1);  // of no shorter stride
  EXPECT_EQ(steps[1].s, 0);
  EXPECT_EQ(steps[1].short_stride_ratio, 1);
}

TEST(DdimPath, NoiseOfItsOwnHasOneGridAndNoSchedulerConfig) {
  const std::vector<double> alpha_bars = {1, 0.9, 0.6, 0.3};
  const DdimPath path(alpha_bars, {3, 2, 0});
  expect_parts(error_of([&] { path.times(3); }), {"3 steps", "it has 2"});
  expect_parts(error_of([&] { path.to_json(); }), {"DdimSchedule"});
  for (const std::vector<int64_t>& grid :
       {std::vector<int64_t>{}, {0}, {4, 0}, {3, 1}, {2, 2, 0}}) {
    EXPECT_THROW(DdimPath(alpha_bars, grid), Error);
  }
  for (const double last : {0.6, 0.7, 0.0, -1.0, std::nan("")}) {
    EXPECT_THROW(DdimPath({1, 0.9, 0.6, last}, {3, 0}), Error);
  }
}

}  // namespace
}  // namespace rsm
