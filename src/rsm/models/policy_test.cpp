#include "rsm/models/policy.h"

#include <gtest/gtest.h>

#include "rsm/base/random.h"
#include "rsm/io/testing.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

class Stopping : public NoProgress {
 public:
  bool stopping() const override { return true; }
};

/** A model, and states and prompts to ask it. */
struct AskedModel {
  ImageModel model = ImageModel::load("models/shapes-flow");
  torch::Tensor x = counted_normal(1, {2, 3, 32, 32}), t = at::full({2}, 0.5);
  Condition condition = model.text->encode({"a red circle", "a cross"});
};

TEST(Policy, KeepsItsLoraWhereTheReferenceThrows) {
  const auto model = ImageModel::load("models/shapes-flow");
  PolicyOptions options;
  options.lora = LoraConfig{.rank = 2, .alpha = 4};
  Policy policy(model.network, model.text->encode({""}), options);
  auto lora = policy.trainable();
  uint64_t seed = 0;
  for (auto& [name, tensor] : lora) {
    tensor = counted_normal(++seed, tensor.sizes()) * 0.1;
  }
  policy.load_trainable(lora);
  const auto x = counted_normal(1, {2, 3, 32, 32});
  const auto t = at::full({2}, 0.5);
  const auto condition = model.text->encode({"a red circle", "a cross"});
  const auto trained = policy.copy(Copy::training).predict(x, t, condition);
  ASSERT_FALSE(
      policy.copy(Copy::reference).predict(x, t, condition).equal(trained));
  EXPECT_ANY_THROW(
      policy.copy(Copy::reference).predict(x.slice(1, 0, 2), t, condition));
  EXPECT_TRUE(
      policy.copy(Copy::training).predict(x, t, condition).equal(trained));
  const Stopping stopping;
  policy.watch(&stopping);
  EXPECT_THROW(policy.copy(Copy::reference).predict(x, t, condition),
               Interrupted);
  EXPECT_THROW(policy.copy(Copy::rollout).predict(x, t, condition),
               Interrupted);
  policy.watch(nullptr);
  EXPECT_TRUE(
      policy.copy(Copy::training).predict(x, t, condition).equal(trained));
}

TEST(Policy, EveryCopyIsLedAwayFromTheNegativePrompt) {
  const AskedModel asked;
  const auto& model = asked.model;
  const auto &x = asked.x, &t = asked.t;
  const auto& condition = asked.condition;
  PolicyOptions options;
  options.lora = LoraConfig{.rank = 2, .alpha = 4};
  options.guidance_scale = 3;
  options.rollout_tiles.tile = 2;  // so that it is a network of its own
  const auto negative = model.text->encode({"a blue square"});
  GuidedNetwork plain(copy_of(model.network, at::kFloat, at::kCPU),
                      model.text->encode({""}), options.guidance_scale,
                      options.train_tiles);
  GuidedNetwork wanted(copy_of(model.network, at::kFloat, at::kCPU), negative,
                       options.guidance_scale, options.train_tiles);
  Policy policy(model.network, negative, options);
  const auto y = wanted.predict(x, t, condition);
  ASSERT_GT(relative(y, plain.predict(x, t, condition)), 0.01);
  for (const Copy which :
       {Copy::training, Copy::rollout, Copy::reference, Copy::average}) {
    EXPECT_LT(relative(policy.copy(which).predict(x, t, condition), y),
              kFloatTolerance);
  }
}

/** Training does not move it, and its copy without guidance of its own is as
 * the others. */
TEST(Policy, TheGuidedReferenceIsTheModelBeforeTrainingAtItsOwnScale) {
  const AskedModel asked;
  const auto& model = asked.model;
  const auto &x = asked.x, &t = asked.t;
  const auto& condition = asked.condition;
  const auto empty = model.text->encode({""});
  PolicyOptions options;
  options.lora = LoraConfig{.rank = 2, .alpha = 4};
  options.reference_guidance_scale = 4.5;
  const auto predicted = [&](double scale) {
    return GuidedNetwork(copy_of(model.network, at::kFloat, at::kCPU), empty,
                         scale, options.train_tiles)
        .predict(x, t, condition);
  };
  const auto plain = predicted(1), guided = predicted(4.5);
  ASSERT_GT(relative(guided, plain), 0.01);
  Policy policy(model.network, empty, options);
  auto lora = policy.trainable();
  uint64_t seed = 0;
  for (auto& [name, tensor] : lora) {
    tensor = counted_normal(++seed, tensor.sizes()) * 0.1;
  }
  policy.load_trainable(lora);
  const auto of = [&](Copy which) {
    return policy.copy(which).predict(x, t, condition);
  };
  const auto trained = of(Copy::training);
  EXPECT_LT(relative(of(Copy::guided_reference), guided), kFloatTolerance);
  EXPECT_LT(relative(of(Copy::reference), plain), kFloatTolerance);
  EXPECT_TRUE(of(Copy::training).equal(trained));
  const Stopping stopping;
  policy.watch(&stopping);
  EXPECT_THROW(of(Copy::guided_reference), Interrupted);
}

/** The model before training stays what it was. */
TEST(Policy, TheReferenceThatPullsIsWhatItWasResetTo) {
  const AskedModel asked;
  const auto& model = asked.model;
  const auto &x = asked.x, &t = asked.t;
  const auto& condition = asked.condition;
  for (const bool lora : {false, true}) {
    PolicyOptions options;
    if (lora) options.lora = LoraConfig{.rank = 2, .alpha = 4};
    options.reference_guidance_scale = 1;
    const auto network = copy_of(model.network, at::kFloat, at::kCPU);
    const auto empty = model.text->encode({""});
    Policy policy(network, empty, options);
    const auto of = [&](Policy& whose, Copy which) {
      return whose.copy(which).predict(x, t, condition);
    };
    const auto change = [&](uint64_t seed) {
      auto values = policy.trainable();
      for (auto& [name, tensor] : values) {
        tensor = tensor + counted_normal(++seed, tensor.sizes()) * 0.02;
      }
      policy.load_trainable(values);
      return of(policy, Copy::training);
    };
    const auto before = of(policy, Copy::reference);
    change(1);
    EXPECT_TRUE(of(policy, Copy::guided_reference).equal(before));
    EXPECT_TRUE(policy.reset_weights().empty());
    const auto then = change(100);
    policy.reset_reference();
    const auto after = change(200);
    ASSERT_FALSE(then.equal(before) || then.equal(after));
    EXPECT_TRUE(of(policy, Copy::guided_reference).equal(then));
    EXPECT_TRUE(of(policy, Copy::reference).equal(before));
    EXPECT_TRUE(of(policy, Copy::training).equal(after));
    Policy again(copy_of(model.network, at::kFloat, at::kCPU), empty, options);
    again.load_reset(policy.reset_weights());
    EXPECT_TRUE(of(again, Copy::guided_reference).equal(then));
    EXPECT_TRUE(of(again, Copy::reference).equal(before));
  }
}

TEST(Policy, AReferenceThatNothingPullsToIsNotReset) {
  const AskedModel asked;
  Policy policy(asked.model.network, asked.model.text->encode({""}), {});
  EXPECT_THROW(policy.reset_reference(), Error);
}

/** Samples are drawn under one guidance and trained on under another: the loss
 * sees all its copies, each with weights of its own, under the training's. */
TEST(Policy, OnlyTheRolloutIsGuidedAsSamplesAre) {
  const AskedModel asked;
  const auto& model = asked.model;
  const auto &x = asked.x, &t = asked.t;
  const auto& condition = asked.condition;
  const auto empty = model.text->encode({""});
  PolicyOptions options;
  options.guidance_scale = 3;
  options.training_guidance_scale = 1;
  options.has_old = true;
  const auto pretrained = copy_of(model.network, at::kFloat, at::kCPU);
  const auto predicted = [&](const StateDict& weights, double scale) {
    const auto network = copy_of(pretrained, at::kFloat, at::kCPU);
    load_parameters(*network, with_trained(network, weights), "test");
    return GuidedNetwork(network, empty, scale, options.train_tiles)
        .predict(x, t, condition);
  };
  Policy policy(model.network, empty, options);
  EXPECT_FALSE(policy.rollout_is_training());
  const auto before = policy.trainable();
  const auto moved = [&](uint64_t seed) {
    StateDict out;
    for (const auto& [name, value] : before) {
      out[name] = value * (1 + 0.02 * counted_normal(++seed, value.sizes()));
    }
    return out;
  };
  const auto trained = moved(1000), average = moved(2000), old = moved(3000);
  policy.load_trainable(trained);
  policy.load_average(average);
  policy.load_old(old);
  policy.sample_with(Copy::old);
  const auto expect = [&](Copy which, const StateDict& weights, double scale) {
    const auto y = policy.copy(which).predict(x, t, condition);
    EXPECT_LT(relative(y, predicted(weights, scale)), kFloatTolerance);
    EXPECT_GT(relative(y, predicted(weights, 4 - scale)), 0.01);
  };
  expect(Copy::training, trained, 1);
  expect(Copy::reference, before, 1);
  expect(Copy::average, average, 1);
  expect(Copy::old, old, 1);
  expect(Copy::rollout, old, 3);
  EXPECT_GT(relative(predicted(old, 1), predicted(average, 1)), 0.001);
}

TEST(PolicyOptions, RolloutsAreTrainingInOnePrecisionAndTileOnly) {
  PolicyOptions options;
  EXPECT_TRUE(options.rollout_is_training());
  options.rollout_tiles.tile = options.train_tiles.tile / 2;
  EXPECT_FALSE(options.rollout_is_training());
  options.train_tiles.tile = options.rollout_tiles.tile;
  EXPECT_TRUE(options.rollout_is_training());
  options.rollout_type = torch::kBFloat16;
  EXPECT_FALSE(options.rollout_is_training());
}

}  // namespace
}  // namespace rsm
