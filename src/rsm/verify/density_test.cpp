#include "rsm/verify/density.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/verify/problem.h"

namespace rsm::verify {
namespace {

/** Points of a fine even grid over [-side, side]^D, and the volume of each. */
std::pair<torch::Tensor, double> grid(int64_t dimensions, double side,
                                      int64_t count) {
  const double width = 2 * side / static_cast<double>(count);
  const auto line =
      (torch::arange(count, torch::kFloat64) + 0.5) * width - side;
  if (dimensions == 1) return {line.unsqueeze(1), width};
  return {torch::stack(torch::meshgrid({line, line}, "ij"), -1).view({-1, 2}),
          width * width};
}

/** The law that names a tilt: log p* - log p = r / alpha - log Z. */
TEST(Density, TiltIsTheDensityTimesTheRewardsExponential) {
  for (const auto& problem : problems(0.7)) {
    const auto points = problem.reference.sample(500, 1);
    const auto moved =
        problem.answer().log_at(points) - problem.reference.log_at(points);
    const auto expected =
        problem.reward.at(points) / problem.alpha -
        problem.reference.log_mass(problem.reward, 1 / problem.alpha);
    EXPECT_TRUE(moved.allclose(expected, 0, 1e-9)) << problem.name;
  }
}

TEST(Density, IntegratesToOneAndSoDoesItsTilt) {
  for (const auto& problem : problems(0.7)) {
    const auto [points, volume] = grid(problem.reference.dimensions(), 8, 400);
    for (const auto& density : {problem.reference, problem.answer()}) {
      const double mass =
          (density.log_at(points).exp().sum() * volume).item<double>();
      // A step's edge falls within a cell of width 0.04.
      EXPECT_NEAR(mass, 1, 1e-2) << problem.name;
    }
  }
}

TEST(Density, SamplesHaveTheTiltsReward) {
  constexpr int64_t kCount = 100000;
  for (const auto& problem : problems(0.7)) {
    for (const double strength : {0.0, 1 / problem.alpha}) {
      const auto rewards = problem.reward.at(
          problem.reference.tilted(problem.reward, strength).sample(kCount, 3));
      const double error =
          rewards.std().item<double>() / std::sqrt(double{kCount});
      EXPECT_NEAR(rewards.mean().item<double>(),
                  problem.reference.tilted_reward(problem.reward, strength),
                  5 * error)
          << problem.name << " at " << strength;
    }
  }
}

/** N(0, 1) and r = x: the mean moves by 1 / alpha, the KL is half its square.
 */
TEST(Density, TiltOfANormalDensityIsAShift) {
  const Density normal({1}, {{0}}, {1});
  const PointReward reward{PointReward::Kind::linear, {1}};
  EXPECT_NEAR(normal.tilted_reward(reward, 0.5), 0.5, 1e-6);
  EXPECT_NEAR(normal.tilted_kl(reward, 0.5), 0.125, 1e-6);
}

/** Against sums over a grid of what could have led to x. */
TEST(Density, PosteriorMeanIsThatOfBayes) {
  constexpr double kSignal = 0.6, kNoise = 0.5;
  for (const auto& problem : problems(0.7)) {
    const int64_t dimensions = problem.reference.dimensions();
    const auto [points, volume] = grid(dimensions, 7, 280);
    for (const auto& density : {problem.reference, problem.answer()}) {
      const auto x = kSignal * density.sample(5, 9) + 0.3;
      const auto known =
          density.posterior_mean(x, torch::full({5}, kSignal, torch::kFloat64),
                                 torch::full({5}, kNoise, torch::kFloat64));
      for (int64_t i = 0; i < 5; ++i) {
        const auto far = (x[i] - kSignal * points).square().sum(1);
        const auto share =
            (density.log_at(points) - 0.5 * far / (kNoise * kNoise)).softmax(0);
        const auto mean = (share.unsqueeze(1) * points).sum(0);
        // Of the edge of a step within a cell of width 0.05.
        EXPECT_TRUE(known[i].allclose(mean, 0, 1e-2))
            << problem.name << ": " << known[i] << mean;
      }
    }
  }
}

TEST(Density, WhatHasNoTiltIsRefused) {
  const Density normal({1}, {{0}}, {1});
  const PointReward outgrows{PointReward::Kind::quadratic, {0}, -2};
  expect_parts(error_of([&] { normal.tilted(outgrows, 1); }),
               {"[verify]", "outgrows"});
  const PointReward step{PointReward::Kind::step, {}, 0};
  expect_parts(error_of([&] { normal.tilted(step, 1).tilted(step, 1); }),
               {"[verify]", "step"});
  expect_parts(error_of([&] {
                 Density({1, 1}, {{0}}, {1});
               }),
               {"2 shares", "1 means"});
}

}  // namespace
}  // namespace rsm::verify
