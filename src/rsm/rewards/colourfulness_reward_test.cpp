#include "rsm/rewards/colourfulness_reward.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <vector>

#include "rsm/rewards/testing.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

// A value is rounded to float32, and is about 1.
constexpr double kRounding = 1e-7;

using Colour = std::vector<double>;

/** [1,3,1,N]: one pixel a colour, as float32. */
torch::Tensor picture(const std::vector<Colour>& pixels) {
  std::vector<torch::Tensor> columns;
  for (const auto& pixel : pixels) {
    columns.push_back(torch::tensor(pixel, at::kFloat));
  }
  return torch::stack(columns, 1).reshape({1, 3, 1, std::ssize(pixels)});
}

RewardScores scores_of(const torch::Tensor& image) {
  return make_colourfulness()->score(image, {{0, "", ""}});
}

double value_of(const torch::Tensor& image) {
  return scores_of(image).value[0].item<double>();
}

torch::Tensor gradient_at(const torch::Tensor& image) {
  const auto leaf = image.clone().requires_grad_(true);
  const auto value = make_colourfulness()->value_of(leaf, {{0, "", ""}});
  return torch::autograd::grad({value.sum()}, {leaf})[0];
}

TEST(Colourfulness, IsThePublishedFormula) {
  // Over red, green and blue: rg is 1, -1, 0 and yb 1/2, 1/2, -1.
  const auto primary = picture({{1, 0, 0}, {0, 1, 0}, {0, 0, 1}});
  EXPECT_NEAR(value_of(primary), std::sqrt(2.0 / 3 + 1.0 / 2), kRounding);
  // Of one colour, only its cast is left: rg is 1 and yb 1/2.
  EXPECT_NEAR(value_of(picture({{1, 0, 0}})), 0.3 * std::sqrt(1.25), kRounding);
  const auto pictures = test_pictures(1, 5, 6);
  const auto pixels = pictures.images[0].to(at::kDouble).flatten(1);
  const auto at = [&](int64_t channel, int64_t i) {
    return pixels[channel][i].item<double>();
  };
  double sums[2] = {}, squares[2] = {};
  for (int64_t i = 0; i < 30; ++i) {
    const double opponents[2] = {at(0, i) - at(1, i),
                                 (at(0, i) + at(1, i)) / 2 - at(2, i)};
    for (int k = 0; k < 2; ++k) {
      sums[k] += opponents[k] / 30;
      squares[k] += opponents[k] * opponents[k] / 30;
    }
  }
  const double cast = std::hypot(sums[0], sums[1]);
  const double spread = std::sqrt(squares[0] + squares[1] - cast * cast);
  const auto scores = scores_of(pictures.images);
  EXPECT_NEAR(scores.value[0].item<double>(), spread + 0.3 * cast, kRounding);
  EXPECT_NEAR(scores.metrics.at("spread")[0].item<double>(), spread, kRounding);
  EXPECT_NEAR(scores.metrics.at("cast")[0].item<double>(), cast, kRounding);
}

TEST(Colourfulness, OfGreyPicturesIsNothingAndPullsNowhere) {
  const auto ramp = torch::linspace(0, 1, 20).reshape({1, 1, 4, 5});
  for (const auto& grey : {ramp, torch::full({1, 1, 4, 5}, 0.3F)}) {
    const auto image = grey.repeat({1, 3, 1, 1});
    EXPECT_EQ(value_of(image), 0);
    EXPECT_TRUE(torch::equal(gradient_at(image), torch::zeros_like(image)));
  }
  // Nearly grey: a root's slope times a small square's.
  const auto noisy =
      ramp.repeat({1, 3, 1, 1}) + 1e-7 * counted_normal(3, {1, 3, 4, 5});
  EXPECT_TRUE(gradient_at(noisy).isfinite().all().item<bool>());
}

TEST(Colourfulness, OfOneColourPullsAtItsCastAlone) {
  const double red = 0.7, green = 0.2, blue = 0.1;
  const int64_t pixels = 7;
  const auto image = picture(std::vector<Colour>(pixels, {red, green, blue}));
  const double rg = red - green, yb = (red + green) / 2 - blue;
  const double factor = 0.3 / std::hypot(rg, yb) / pixels;
  const auto wanted = picture(std::vector<Colour>(
      pixels, {factor * (rg + yb / 2), factor * (yb / 2 - rg), factor * -yb}));
  EXPECT_TRUE(torch::allclose(gradient_at(image), wanted, 1e-6, 0));
}

TEST(Colourfulness, PrefersColoursToTheirGrey) {
  const auto renders = (shapes::captioned_images(31, 0, 8, 0).images + 1) / 2;
  const Prompts prompts(8, {0, "", ""});
  const auto reward = make_colourfulness();
  const auto colour = reward->score(renders, prompts).value;
  const auto half = renders * 0.5 + renders.mean(1, true) * 0.5;
  const auto paler = reward->score(half, prompts).value;
  EXPECT_TRUE((colour > 0.05).all().item<bool>());
  // Differences of channels are halved.
  EXPECT_TRUE(torch::allclose(paler, colour / 2, 1e-5, 0));
}

}  // namespace
}  // namespace rsm
