#include "rsm/data/picture_watch.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"

namespace rsm {
namespace {

constexpr int64_t kSide = 8;

/** [1,3,H,W] of one colour. */
torch::Tensor flat(double red, double green, double blue) {
  return torch::tensor({red, green, blue})
      .to(at::kFloat)
      .view({1, 3, 1, 1})
      .expand({1, 3, kSide, kSide})
      .clone();
}

/** Black and white in turn. */
torch::Tensor checkerboard() {
  const auto place = at::arange(kSide);
  const auto parity = (place.view({-1, 1}) + place.view({1, -1})) % 2;
  return parity.to(at::kFloat).expand({1, 3, kSide, kSide}).clone();
}

/** Red to the left, blue to the right. */
torch::Tensor halves() {
  auto out = flat(1, 0, 0);
  out.slice(3, kSide / 2).copy_(flat(0, 0, 1).slice(3, kSide / 2));
  return out;
}

TEST(PictureWatch, OfAFlatPictureIsNothing) {
  const auto watch = watch_pictures(flat(0.4, 0.4, 0.4));
  EXPECT_EQ(watch.edges, std::vector<double>{0});
  EXPECT_NEAR(watch.colours[0], 0, 1e-12);
  EXPECT_EQ(watch.saturation, std::vector<double>{0});
}

TEST(PictureWatch, OfACheckerboardIsAnEdgeEverywhere) {
  const auto watch = watch_pictures(checkerboard());
  EXPECT_EQ(watch.edges, std::vector<double>{1});
  EXPECT_NEAR(watch.colours[0], 1, 1e-12);
  EXPECT_EQ(watch.saturation, std::vector<double>{0});
}

TEST(PictureWatch, OfTwoColoursIsOneBitAndOneLine) {
  const auto watch = watch_pictures(halves());
  // Of 2 x 8 x 7 pairs the eight across the middle: 0.299 beside 0.114.
  EXPECT_NEAR(watch.edges[0], 8.0 / 112, 1e-12);
  EXPECT_NEAR(watch.colours[0], 1, 1e-12);
  EXPECT_NEAR(watch.saturation[0], 1, 1e-7);
}

TEST(PictureWatch, OfEveryColourIsSixBits) {
  const auto cell = at::arange(64);
  const auto level = [&](int64_t unit) {
    return ((cell.div(unit, "floor") % 4).to(at::kFloat) + 0.5) / 4;
  };
  const auto all = at::stack({level(16), level(4), level(1)});
  const auto watch = watch_pictures(all.view({1, 3, 8, 8}));
  EXPECT_NEAR(watch.colours[0], 6, 1e-12);
}

TEST(PictureWatch, OfGaussianGreysIsTheTailOfTheirDifference) {
  constexpr double kSigma = 0.05;
  constexpr int64_t kLarge = 256;
  const auto noise = counted_normal(3, {1, 1, kLarge, kLarge});
  const auto grey = (0.5 + kSigma * noise).expand({1, 3, kLarge, kLarge});
  const double expected = std::erfc(kEdge / (2 * kSigma));
  // Of about 1.3e5 pairs, not all independent: four errors of half as many.
  EXPECT_NEAR(watch_pictures(grey).edges[0], expected,
              4 * std::sqrt(expected / 6.5e4));
}

TEST(PictureWatch, IsOfEachPictureAlone) {
  const auto both = watch_pictures(at::cat({halves(), checkerboard()}));
  EXPECT_EQ(both.edges[1], 1);
  EXPECT_EQ(both.edges[0], watch_pictures(halves()).edges[0]);
  EXPECT_EQ(both.saturation[1], 0);
  EXPECT_EQ(watch_pictures(at::ones({2, 3, 1, 1})).edges[0], 0);
  EXPECT_THROW(watch_pictures(at::ones({2, 1, 4, 4})), Error);
}

}  // namespace
}  // namespace rsm
