// Gradients of rewards through real decoders.
#include "rsm/estimators/reward_gradient.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "rsm/base/progress.h"
#include "rsm/base/testing.h"
#include "rsm/models/autoencoder_testing.h"
#include "rsm/models/image_model.h"
#include "rsm/models/vae.h"
#include "rsm/rewards/gradient_testing.h"
#include "rsm/rewards/rewards.h"

namespace rsm {
namespace {

std::unique_ptr<Reward> colourfulness() {
  static const NoProgress never_stops;
  return make_reward("colourfulness", never_stops);
}

Prompts some_prompts(int64_t count) { return Prompts(count, {0, "", ""}); }

torch::Tensor some_latents(int64_t count) {
  return test_normal(13, {count, 4, 6, 5});
}

/** random_kl() with pictures well within [0,1]. */
Autoencoder pale_kl() {
  const torch::NoGradGuard no_grad;
  const auto autoencoder = random_kl();
  for (auto& item : autoencoder->named_parameters()) {
    if (item.key().find("decoder.conv_out") == 0) item.value().mul_(0.02);
  }
  return autoencoder;
}

class VaeGradientOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(VaeGradientOn);

TEST_P(VaeGradientOn, IsThatOfFiniteDifferences) {
  at::set_num_threads(1);
  const auto reward = colourfulness();
  const auto latents = some_latents(2);
  const auto prompts = some_prompts(2);
  for (const auto type : {at::kDouble, at::kFloat}) {
    const auto vae = Vae(pale_kl()).to(device(), type);
    const auto pixels = vae->pictures(latents);
    ASSERT_GT(pixels.min().item<double>(), 0.1);
    ASSERT_LT(pixels.max().item<double>(), 0.9);
    const auto found = reward_gradient(*reward, *vae, latents, prompts, 2);
    const auto value = [&](const torch::Tensor& z) {
      return reward_gradient(*reward, *vae, z, prompts, 2).value;
    };
    // Values are rounded to 24 bits, and so is the decoder in float32 (to
    // fewer in a GPU's convolutions), over a step of a hundredth.
    const double tolerance = type == at::kDouble ? 5e-5
                             : device().is_cpu() ? 2e-4
                                                 : 3e-2;
    EXPECT_LT(slope_error(value, latents, found.gradient, 1e-2), tolerance);
  }
}

TEST_P(VaeGradientOn, IsThatOfTheClampedPictures) {
  at::set_num_threads(1);
  const auto reward = colourfulness();
  const auto latents = some_latents(3);
  const auto prompts = some_prompts(3);
  for (const auto& autoencoder : {random_kl(), random_tiny()}) {
    const auto vae = Vae(autoencoder).to(device(), at::kFloat);
    const auto leaf = latents.clone().requires_grad_(true);
    const auto space = autoencoder->space();
    const auto pixels =
        (autoencoder->decode(leaf / space.scaling_factor + space.shift_factor) +
         1) /
        2;
    const auto value = reward->value_of(pixels.clamp(0, 1), prompts);
    const auto wanted = torch::autograd::grad({value.sum()}, {leaf})[0];
    const auto found = reward_gradient(*reward, *vae, latents, prompts, 2);
    EXPECT_LT(relative(found.gradient, wanted),
              device().is_cpu() ? kFloatTolerance : 1e-2);
    EXPECT_LT(relative(found.value, value.detach()),
              device().is_cpu() ? kFloatTolerance : 1e-2);
  }
}

TEST_P(VaeGradientOn, RowsDoNotDependOnOthersOrOnTheTile) {
  if (!repeats_its_bits()) GTEST_SKIP() << "claimed on the CPU alone";
  at::set_num_threads(1);
  const auto reward = colourfulness();
  const auto latents = some_latents(5);
  const auto prompts = some_prompts(5);
  for (const auto& autoencoder : {random_kl(), random_tiny()}) {
    for (const int64_t slice : {1, 3}) {
      const auto vae = Vae(autoencoder).with_limits({slice, 0, 1});
      const auto all = reward_gradient(*reward, *vae, latents, prompts, 5);
      EXPECT_TRUE(
          all.value.equal(reward->score(vae->decode(latents), prompts).value));
      for (const int64_t at_once : {1, 2, 3}) {
        const auto tiled =
            reward_gradient(*reward, *vae, latents, prompts, at_once);
        EXPECT_TRUE(tiled.value.equal(all.value));
        EXPECT_TRUE(tiled.gradient.equal(all.gradient)) << at_once;
      }
      const auto last =
          reward_gradient(*reward, *vae, latents.narrow(0, 4, 1), {{}}, 1);
      EXPECT_TRUE(last.gradient[0].equal(all.gradient[4]));
    }
  }
}

TEST(PixelGradient, IsHalfThePicturesOwn) {
  const auto reward = colourfulness();
  const auto prompts = some_prompts(2);
  const auto latents = 0.3 * test_normal(14, {2, 3, 4, 5});
  const auto leaf = ((latents + 1) / 2).requires_grad_(true);
  const auto value = reward->value_of(leaf, prompts);
  const auto wanted = torch::autograd::grad({value.sum()}, {leaf})[0] / 2;
  const auto decoder = pixel_decoder();
  EXPECT_TRUE(torch::equal(
      reward_gradient(*reward, *decoder, latents, prompts, 2).gradient,
      wanted));
}

}  // namespace
}  // namespace rsm
