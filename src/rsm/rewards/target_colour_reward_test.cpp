#include "rsm/rewards/target_colour_reward.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>

#include "rsm/base/error.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

/** [1,3,2,2] of one colour. */
torch::Tensor flat(double red, double green, double blue) {
  return torch::tensor({red, green, blue}, at::kFloat)
      .reshape({1, 3, 1, 1})
      .repeat({1, 1, 2, 2});
}

double value_of(const Reward& reward, const torch::Tensor& image) {
  return reward.score(image, {{0, "", ""}}).value[0].item<double>();
}

TEST(TargetColour, IsBestAtItsColourAndWorstAcrossTheCube) {
  EXPECT_EQ(value_of(*make_target_colour(), flat(1, 0, 0)), 0);
  EXPECT_EQ(value_of(*make_target_colour("ff0000"), flat(0, 1, 1)), -1);
  EXPECT_EQ(value_of(*make_target_colour("FFffFf"), flat(1, 1, 1)), 0);
  const auto orange = make_target_colour("ff8000");
  EXPECT_NEAR(value_of(*orange, flat(1, 128.0 / 255, 0)), 0, 1e-14);
  EXPECT_NEAR(value_of(*orange, flat(1, 128.0 / 255, 0.3)), -0.03, 1e-8);
  EXPECT_GT(value_of(*orange, flat(0.9, 0.5, 0.1)),
            value_of(*orange, flat(0.9, 0.4, 0.1)));
}

TEST(TargetColour, FallsIntoItsTwoMetrics) {
  const auto pictures = test_pictures(4, 5, 6);
  const auto scores = score(*make_target_colour("3366cc"), pictures);
  const auto& off = scores.metrics.at("off_colour");
  const auto& detail = scores.metrics.at("detail");
  EXPECT_TRUE(torch::allclose(scores.value, -(off * off + detail * detail)));
  // Another target leaves the detail as it is.
  EXPECT_TRUE(torch::equal(
      score(*make_target_colour(), pictures).metrics.at("detail"), detail));
  EXPECT_GT(off.min().item<double>(), 0);
  EXPECT_GT(detail.min().item<double>(), 0);
}

TEST(TargetColour, ItsGradientPointsStraightToTheColour) {
  const auto pictures = test_pictures(2, 3, 4);
  const auto leaf = pictures.images.clone().requires_grad_(true);
  const auto value =
      make_target_colour("3366cc")->value_of(leaf, pictures.prompts);
  const auto found = torch::autograd::grad({value.sum()}, {leaf})[0];
  const auto colour =
      (torch::tensor({0x33, 0x66, 0xcc}, at::kDouble) / 255).view({3, 1, 1});
  const auto wanted = 2.0 / 36 * (colour - pictures.images.to(at::kDouble));
  // One rounding to float32.
  EXPECT_TRUE(torch::allclose(found.to(at::kDouble), wanted, 1e-7, 0));
}

TEST(TargetColour, IsNamedAsItWasAskedFor) {
  EXPECT_EQ(make_target_colour()->name(), "target-colour");
  EXPECT_EQ(make_target_colour("aB0f19")->name(), "target-colour:aB0f19");
}

TEST(TargetColour, WrongColoursAreUsageErrors) {
  for (const std::string wrong : {"", "red", "ff80", "ff800", "ff80000",
                                  "#ff8000", "0xff80", "ff80 0", "-ff800"}) {
    EXPECT_THROW(make_target_colour(wrong), UsageError) << wrong;
    expect_parts(error_of([&] { make_target_colour(wrong); }),
                 {"[reward target-colour]", "\"" + wrong + "\"", "RRGGBB",
                  "target-colour:ff8000"});
  }
}

}  // namespace
}  // namespace rsm
