#include "rsm/verify/distances.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"

namespace rsm::verify {
namespace {

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return Profile(a).distance_to(Profile(b));
}

TEST(Profile, DistanceOfAShiftIsItsLength) {
  const auto line = Density({1}, {{0}}, {1}).sample(1000, 1);
  EXPECT_NEAR(distance(line, line + 0.4), 0.4, 1e-12);
  const auto plane = Density({1}, {{0, 0}}, {1}).sample(1000, 1);
  const auto shift = torch::tensor({0.3, -0.4}, torch::kFloat64);
  // The mean of |cos| over 32 directions is 2 / pi but for 1e-3.
  EXPECT_NEAR(distance(plane, plane + shift), 0.5 * 2 / std::numbers::pi, 2e-3);
}

TEST(Profile, KnowsNoOrderOfPoints) {
  const auto a = Density({1}, {{0, 0}}, {1}).sample(100, 1);
  EXPECT_NEAR(distance(a, a.flip(0)), 0, 1e-12);
}

/** N(0, 1) and N(0, s^2): ranks are at s times their place. */
TEST(Profile, DistanceOfAScaleIsTheMeanSize) {
  const auto a = Density({1}, {{0}}, {1}).sample(1000, 1);
  EXPECT_NEAR(distance(a, 1.5 * a), 0.5 * a.abs().mean().item<double>(), 1e-12);
}

TEST(Profile, OtherCloudsAreRefused) {
  expect_parts(error_of([] {
                 distance(torch::zeros({3, 1}), torch::zeros({4, 1}));
               }),
               {"[verify]", "3", "4"});
}

TEST(Cells, KlOfOwnSamplesIsThatOfCounting) {
  constexpr int64_t kCount = 20000;
  for (const auto& density :
       {Density({1}, {{0}}, {1}), Density({1}, {{0, 0}}, {1})}) {
    const Cells cells(density, density.sample(4096, 2));
    const double counting =
        static_cast<double>(cells.count() - 1) / (2.0 * kCount);
    const double found = cells.kl_of(density.sample(kCount, 3));
    EXPECT_GT(found, 0);
    EXPECT_LT(found, 1.5 * counting);
  }
}

/** KL(N(m, 1) || N(0, 1)) = m^2 / 2; cells of a fifth of the deviation lose a
 * percent of it, counting and the tails' cell add one. */
TEST(Cells, KlOfAShiftIsHalfItsSquare) {
  const Density normal({1}, {{0}}, {1});
  const auto points = normal.sample(200000, 4);
  const Cells cells(normal, points);
  EXPECT_NEAR(cells.kl_of(points + 0.7), 0.245, 0.012);
}

/** Points where the density is not. */
TEST(Cells, KlOfFarPointsIsLargeAndFinite) {
  const Density normal({1}, {{0}}, {1});
  const Cells cells(normal, normal.sample(4096, 5));
  const double far = cells.kl_of(normal.sample(100, 6) + 50);
  EXPECT_GT(far, 3);
  EXPECT_TRUE(std::isfinite(far));
}

}  // namespace
}  // namespace rsm::verify
