// Laws of every built-in reward that has a gradient.
#include "rsm/rewards/formula_reward.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/testing.h"
#include "rsm/rewards/gradient_testing.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

/** Those that take pictures of any size and any prompt. */
std::vector<std::shared_ptr<const Reward>> differentiable_rewards() {
  auto names = reward_names();
  std::erase_if(names, [](const std::string& name) {
    return name.starts_with("shapes");
  });
  names.emplace_back("target-colour:3366cc");
  std::vector<std::shared_ptr<const Reward>> rewards;
  for (const auto& name : names) {
    std::shared_ptr<const Reward> reward = make_reward(name, kNeverStops);
    if (reward->is_differentiable()) rewards.push_back(reward);
  }
  return rewards;
}

torch::Tensor gradient_of(const Reward& reward, const torch::Tensor& images,
                          const Prompts& prompts) {
  const auto leaf = images.detach().clone().requires_grad_(true);
  const auto value = reward.value_of(leaf, prompts);
  return torch::autograd::grad({value.sum()}, {leaf})[0];
}

TEST(DifferentiableReward, ThoseOfFormulasAre) {
  std::vector<std::string> names;
  for (const auto& reward : differentiable_rewards()) {
    names.push_back(reward->name());
  }
  for (const std::string name :
       {"colourfulness", "target-colour", "target-colour:3366cc"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

TEST(DifferentiableReward, ItsValueIsItsScore) {
  const auto pictures = test_pictures(5, 7, 6);
  for (const auto& reward : differentiable_rewards()) {
    const auto value = reward->value_of(pictures.images, pictures.prompts);
    EXPECT_EQ(value.scalar_type(), at::kFloat);
    EXPECT_TRUE(torch::equal(value, score(*reward, pictures).value))
        << reward->name();
    EXPECT_EQ(reward->value_of(pictures.images.slice(0, 0, 0), {}).numel(), 0);
  }
}

TEST(DifferentiableReward, ItsGradientIsThatOfFiniteDifferences) {
  const auto pictures = test_pictures(3, 6, 5);
  for (const auto& reward : differentiable_rewards()) {
    const auto gradient =
        gradient_of(*reward, pictures.images, pictures.prompts);
    const auto value = [&](const torch::Tensor& images) {
      return reward->value_of(images, pictures.prompts);
    };
    // Values are rounded to 24 bits, over a step of a hundredth.
    EXPECT_LT(slope_error(value, pictures.images, gradient, 1e-2), 1e-5)
        << reward->name();
  }
}

TEST(DifferentiableReward, APictureIsJudgedAlone) {
  const auto pictures = test_pictures(6, 9, 16);
  const auto order = counted_permutation(5, 6);
  const auto index = torch::tensor(order, torch::kInt64);
  Prompts prompts;
  for (const int64_t i : order) prompts.push_back(pictures.prompts[i]);
  for (const auto& reward : differentiable_rewards()) {
    SCOPED_TRACE(reward->name());
    expect_each_picture_alone(*reward, pictures);
    const auto whole = gradient_of(*reward, pictures.images, pictures.prompts);
    EXPECT_TRUE(torch::equal(
        gradient_of(*reward, pictures.images.index_select(0, index), prompts),
        whole.index_select(0, index)));
    EXPECT_TRUE(torch::equal(gradient_of(*reward, pictures.images.slice(0, 5),
                                         {pictures.prompts[5]})[0],
                             whole[5]));
  }
}

class DifferentiableRewardOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(DifferentiableRewardOn);

TEST_P(DifferentiableRewardOn, TakesPicturesOfAnyType) {
  const auto pictures = test_pictures(2, 6, 5);
  for (const auto& reward : differentiable_rewards()) {
    SCOPED_TRACE(reward->name());
    const auto wanted = gradient_of(*reward, pictures.images, pictures.prompts);
    for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
      // bfloat16 rounds pixels and gradients to 8 bits.
      const double tolerance = type == at::kBFloat16 ? 0.02 : 1e-6;
      const auto images = pictures.images.to(device(), type);
      const auto found = gradient_of(*reward, images, pictures.prompts);
      EXPECT_EQ(found.scalar_type(), type);
      EXPECT_EQ(found.device().type(), device().type());
      const auto gap = (found.to(at::kCPU, at::kFloat) - wanted).abs().max();
      EXPECT_LE(gap.item<double>(),
                tolerance * wanted.abs().max().item<double>());
      EXPECT_EQ(reward->value_of(images, pictures.prompts).scalar_type(),
                at::kFloat);
    }
  }
}

TEST(DifferentiableReward, RefusesWhatItCannotJudge) {
  const auto gray = torch::full({1, 3, 4, 4}, 0.5F);
  for (const auto& reward : differentiable_rewards()) {
    const auto error_for = [&](const torch::Tensor& images) {
      const auto text = error_of([&] {
        reward->value_of(images, {{0, "a dog", ""}});
      });
      expect_parts(text, {"[reward " + reward->name() + "]"});
      return text;
    };
    expect_parts(error_for(gray.slice(1, 0, 2)), {"[1, 2, 4, 4]", "[B,3,H,W]"});
    expect_parts(error_for(gray.slice(2, 0, 0)), {"[1, 3, 0, 4]"});
    expect_parts(error_for(gray[0]), {"[3, 4, 4]"});
    expect_parts(error_for(gray.to(at::kByte)), {"floating point"});
    expect_parts(error_for(torch::cat({gray, gray})),
                 {"2 images", "1 prompts"});
    const auto nan = gray * std::numeric_limits<float>::quiet_NaN();
    expect_parts(
        error_of([&] {
          reward->score(nan, {{0, "a dog", ""}});
        }),
        {"[reward " + reward->name() + "]", "image 0", "a dog", "NaN"});
  }
}

}  // namespace
}  // namespace rsm
