#include "rsm/estimators/reward_gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/rewards/formula_reward.h"
#include "rsm/rewards/gradient_testing.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

/** What a test says, pixel by pixel. */
class GivenDecoder : public Decoder {
 public:
  using Paint = std::function<torch::Tensor(const torch::Tensor&)>;
  explicit GivenDecoder(Paint paint) : paint_(std::move(paint)) {}
  torch::Tensor decode(const torch::Tensor& latents) const override {
    const torch::NoGradGuard no_grad;
    return pictures(latents).to(at::kFloat).clamp(0, 1).to(at::kCPU);
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return paint_(latents);
  }
  int64_t scale() const override { return 1; }

 private:
  Paint paint_;
};

/** Four channels to three, curved, within (0,1). */
GivenDecoder smooth_decoder(torch::Device device = at::kCPU,
                            torch::ScalarType type = at::kDouble) {
  return GivenDecoder([=](const torch::Tensor& latents) {
    const auto z = latents.to(device, type).unbind(1);
    return 0.5 + 0.4 * at::stack({(z[0] + z[3] * z[1]).sin(),
                                  (z[1] - 0.5 * z[2]).tanh(),
                                  (z[2] + 0.3 * z[0] * z[3]).cos()},
                                 1);
  });
}

/** Latents are pixels. */
GivenDecoder plain_decoder() {
  return GivenDecoder([](const torch::Tensor& latents) { return latents; });
}

torch::Tensor test_latents(int64_t count) {
  return counted_normal(21, {count, 4, 5, 6});
}

Prompts prompts_of(int64_t count) { return test_pictures(count, 1, 1).prompts; }

/** All that the tests ask of a reward at once. */
std::unique_ptr<Reward> both_rewards() {
  RewardSpec colour, blue;
  colour.name = "colourfulness";
  blue.name = "target-colour:3366cc";
  blue.weight = 0.5;
  return make_rewards({colour, blue}, kNeverStops);
}

class RewardGradientOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(RewardGradientOn);

TEST_P(RewardGradientOn, IsThatOfFiniteDifferences) {
  const auto reward = both_rewards();
  const auto prompts = prompts_of(3);
  const auto decoder = smooth_decoder(device());
  const auto latents = test_latents(3);
  const auto value = [&](const torch::Tensor& z) {
    return reward_gradient(*reward, decoder, z, prompts, 3).value;
  };
  const auto found = reward_gradient(*reward, decoder, latents, prompts, 3);
  EXPECT_EQ(found.gradient.sizes(), latents.sizes());
  EXPECT_EQ(found.gradient.scalar_type(), at::kFloat);
  EXPECT_TRUE(found.gradient.is_cpu() && found.value.is_cpu());
  // Latents and values are rounded to 24 bits, over a step of a hundredth.
  EXPECT_LT(slope_error(value, latents, found.gradient, 1e-2), 2e-5);
}

TEST(RewardGradient, ItsValueIsTheScoreOfTheDecodedPicture) {
  const auto reward = both_rewards();
  const auto latents = test_latents(4);
  const auto prompts = prompts_of(4);
  const auto decoder = smooth_decoder(at::kCPU, at::kFloat);
  EXPECT_TRUE(
      torch::equal(reward_gradient(*reward, decoder, latents, prompts, 4).value,
                   reward->score(decoder.decode(latents), prompts).value));
}

TEST(RewardGradient, RowsDoNotDependOnOthersOrOnTheTile) {
  const auto reward = both_rewards();
  const auto decoder = smooth_decoder();
  const auto latents = test_latents(7);
  const auto prompts = prompts_of(7);
  const auto all = reward_gradient(*reward, decoder, latents, prompts, 7);
  for (const int64_t at_once : {1, 2, 3, 100}) {
    const auto tiled =
        reward_gradient(*reward, decoder, latents, prompts, at_once);
    EXPECT_TRUE(torch::equal(tiled.value, all.value));
    EXPECT_TRUE(torch::equal(tiled.gradient, all.gradient));
  }
  const auto order = counted_permutation(2, 7);
  const auto index = torch::tensor(order, torch::kInt64);
  Prompts other;
  for (const int64_t i : order) other.push_back(prompts[i]);
  const auto moved = reward_gradient(*reward, decoder,
                                     latents.index_select(0, index), other, 3);
  EXPECT_TRUE(torch::equal(moved.value, all.value.index_select(0, index)));
  EXPECT_TRUE(
      torch::equal(moved.gradient, all.gradient.index_select(0, index)));
  const auto none =
      reward_gradient(*reward, decoder, latents.slice(0, 0, 0), {}, 2);
  EXPECT_EQ(none.gradient.sizes().vec(), (std::vector<int64_t>{0, 4, 5, 6}));
}

TEST(RewardGradient, TheCallersModeAndGraphStayOut) {
  const auto reward = both_rewards();
  const auto decoder = smooth_decoder();
  const auto prompts = prompts_of(2);
  const auto latents = test_latents(2).requires_grad_(true);
  const auto wanted = reward_gradient(*reward, decoder, latents, prompts, 1);
  EXPECT_FALSE(wanted.gradient.requires_grad() || wanted.value.requires_grad());
  EXPECT_FALSE(latents.grad().defined());
  const torch::NoGradGuard no_grad;
  const auto found = reward_gradient(*reward, decoder, latents, prompts, 1);
  EXPECT_TRUE(torch::equal(found.gradient, wanted.gradient));
  EXPECT_FALSE(at::GradMode::is_enabled());
  // Halves are taken as the numbers that they are.
  const auto halves = latents.to(at::kHalf);
  EXPECT_TRUE(torch::equal(
      reward_gradient(*reward, decoder, halves, prompts, 1).gradient,
      reward_gradient(*reward, decoder, halves.to(at::kFloat), prompts, 1)
          .gradient));
}

TEST(RewardGradient, SaturatedPixelsPullAtNothing) {
  const auto reward = both_rewards();
  const auto prompts = prompts_of(3);
  const auto latents = 0.5 + counted_normal(22, {3, 3, 6, 5});
  const auto outside = (latents < 0).logical_or(latents > 1);
  ASSERT_GT(outside.sum().item<int64_t>(), 20);
  const auto found =
      reward_gradient(*reward, plain_decoder(), latents, prompts, 2);
  EXPECT_EQ(found.gradient.index({outside}).abs().max().item<double>(), 0);
  EXPECT_GT(found.gradient.index({~outside}).abs().min().item<double>(), 0);
  // Elsewhere it is that of the clamped picture.
  const auto clamped = reward_gradient(*reward, plain_decoder(),
                                       latents.clamp(0, 1), prompts, 2);
  EXPECT_TRUE(torch::equal(found.value, clamped.value));
  EXPECT_TRUE(torch::equal(found.gradient.index({~outside}),
                           clamped.gradient.index({~outside})));
}

TEST(RewardGradient, WeightsOfRewardsWeighIt) {
  const auto decoder = smooth_decoder();
  const auto latents = test_latents(3);
  const auto prompts = prompts_of(3);
  const auto of = [&](const Reward& reward) {
    return reward_gradient(reward, decoder, latents, prompts, 2);
  };
  const auto sum = of(*both_rewards());
  const auto colour = of(*make_reward("colourfulness", kNeverStops));
  const auto blue = of(*make_reward("target-colour:3366cc", kNeverStops));
  // Three roundings to float32 each.
  EXPECT_TRUE(torch::allclose(
      sum.gradient, colour.gradient + 0.5 * blue.gradient, 1e-6, 1e-8));
  EXPECT_TRUE(torch::allclose(sum.value, colour.value + 0.5 * blue.value));
}

TEST(RewardGradient, BlackBoxesRefuse) {
  const auto latents = test_latents(1);
  const auto asked = [&](const Reward& reward) {
    reward_gradient(reward, smooth_decoder(), latents, prompts_of(1), 1);
  };
  const auto box = make_reward("jpeg-compressibility", kNeverStops);
  EXPECT_THROW(asked(*box), UsageError);
  expect_parts(error_of([&] { asked(*box); }),
               {"[reward jpeg-compressibility]", "black box", "zeroth order"});
}

TEST(RewardGradient, WhatIsNotFiniteIsNamed) {
  const auto steep = make_formula_reward(
      "steep", [](const torch::Tensor& pixels) -> PictureNumbers {
        return {pixels.sum().sqrt(), {}};
      });
  auto latents = torch::full({5, 3, 2, 2}, 0.5F);
  const auto prompts = prompts_of(5);
  const auto asked = [&] {
    reward_gradient(*steep, plain_decoder(), latents, prompts, 2);
  };
  EXPECT_NO_THROW(asked());
  latents[3] = 0;  // where a root has a slope beyond all bounds
  expect_parts(error_of(asked), {"[reward steep]", prompts[3].text,
                                 "latent 3 of 5", "not finite", "value 0"});
  latents[1][0][1][1] = std::numeric_limits<float>::quiet_NaN();
  expect_parts(error_of(asked), {prompts[1].text, "value nan"});
}

/** Gives what a test says for a value. */
class GivenValues : public Reward {
 public:
  explicit GivenValues(torch::Tensor value) : value_(std::move(value)) {}
  std::string name() const override { return "given"; }
  RewardScores score(const torch::Tensor&, const Prompts&) const override {
    return {value_, {}};
  }
  bool is_differentiable() const override { return true; }
  torch::Tensor value_of(const torch::Tensor&, const Prompts&) const override {
    return value_;
  }

 private:
  torch::Tensor value_;
};

TEST(RewardGradient, WrongSizesAndLostGradientsAreNamed) {
  const auto latents = test_latents(2);
  const auto error_for = [&](const Reward& reward, const torch::Tensor& z,
                             int64_t at_once) {
    return error_of([&] {
      reward_gradient(reward, smooth_decoder(), z, prompts_of(2), at_once);
    });
  };
  const GivenValues detached(torch::ones(2));
  expect_parts(error_for(detached, latents, 2),
               {"[reward given]", "carries no gradient", "value_of()"});
  expect_parts(error_for(GivenValues(torch::ones(3)), latents, 2),
               {"[reward given]", "3 values", "2 images"});
  expect_parts(error_for(detached, latents.slice(0, 1), 2),
               {"[1, 4, 5, 6]", "2 prompts"});
  expect_parts(error_for(detached, latents[0], 2), {"[4, 5, 6]"});
  expect_parts(error_for(detached, latents, 0), {"0 latents at once"});
}

/** As VGG-Flow clips, in numbers of a row. */
torch::Tensor clipped_by_hand(const torch::Tensor& row, double max_norm) {
  const double norm = row.to(at::kDouble).norm().item<double>();
  return row / (norm + 1e-8) * std::min(norm, max_norm);
}

TEST_P(RewardGradientOn, ClippingIsVggFlows) {
  auto gradient = counted_normal(23, {6, 4, 3, 5});
  // Norms about 8, 8e-9, 8e-4, 8e8 and 0.
  const double scales[] = {1, 1e-9, 1e-4, 1e8, 0, 0.125};
  for (int64_t row = 0; row < 6; ++row) gradient[row] *= scales[row];
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double max_norm : {1.0, 1e-5, infinity}) {
    const auto found = clip_gradients(gradient.to(device()), max_norm);
    EXPECT_EQ(found.device().type(), device().type());
    EXPECT_EQ(found.scalar_type(), at::kFloat);
    for (int64_t row = 0; row < 6; ++row) {
      const auto wanted = clipped_by_hand(gradient[row], max_norm);
      EXPECT_TRUE(torch::allclose(found[row].to(at::kCPU), wanted, 1e-6, 0))
          << row << " at " << max_norm;
    }
  }
  const auto half = clip_gradients(gradient.slice(0, 0, 1).to(at::kHalf), 1);
  EXPECT_EQ(half.scalar_type(), at::kHalf);
}

TEST(RewardGradient, ClippingKeepsDirectionsAndBoundsLengths) {
  const auto gradient = 3 * counted_normal(24, {5, 4, 3, 5});
  const auto before = norms(gradient);
  EXPECT_EQ(before.sizes().vec(), std::vector<int64_t>{5});
  const auto after = norms(clip_gradients(gradient, 2));
  EXPECT_TRUE(torch::allclose(after, before.clamp_max(2), 1e-6, 0));
  // A row is clipped alone.
  const auto alone = clip_gradients(gradient.slice(0, 4), 2);
  EXPECT_TRUE(torch::equal(alone[0], clip_gradients(gradient, 2)[4]));
  EXPECT_TRUE(torch::equal(norms(gradient.slice(0, 4)), before.slice(0, 4)));
  const auto cosine =
      (gradient * clip_gradients(gradient, 2)).flatten(1).sum(1);
  EXPECT_TRUE(torch::allclose(cosine, before * after, 1e-5, 0));
  for (const double wrong : {0.0, -1.0, std::nan("")}) {
    expect_parts(error_of([&] { clip_gradients(gradient, wrong); }),
                 {"[clip_gradients]", "above 0"});
  }
}

TEST(RewardGradient, NormsDoNotOverflow) {
  const auto large = torch::full({1, 1, 1, 4}, 1e30F);
  EXPECT_FLOAT_EQ(norms(large)[0].item<float>(), 2e30F);
  EXPECT_EQ(norms(torch::zeros({0, 3, 2, 2})).numel(), 0);
}

}  // namespace
}  // namespace rsm
