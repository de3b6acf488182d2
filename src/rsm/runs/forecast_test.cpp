#include "rsm/runs/forecast.h"

#include <gtest/gtest.h>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/testing.h"

namespace rsm {
namespace {

std::vector<std::string> keys_of(const std::vector<std::string>& overrides) {
  const auto options = options_with(overrides);
  std::vector<std::string> keys;
  for (const auto& advice :
       advise(options, forecast(options), load_prompts(options.train_prompts),
              load_prompts(options.eval_prompts))) {
    keys.push_back(advice.key);
  }
  return keys;
}

bool advises(const std::vector<std::string>& overrides,
             const std::string& key) {
  const auto keys = keys_of(overrides);
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

TEST(Forecast, MultipliesPromptsSamplesAndBranches) {
  const auto f = forecast(options_with(
      {"prompts.per_epoch=5", "prompts.samples_per_prompt=2",
       "method.estimator.branches=[3,0,2,0,0,0,0,0,0]",
       "method.regularisation.anchors=true", "sampling.continuation_steps=0",
       "train.updates_per_epoch=4"}));
  EXPECT_EQ(f.roots, 10);
  EXPECT_EQ(f.images, 50);
  EXPECT_EQ(f.rows, 50);
  EXPECT_EQ(f.groups, 20);
  EXPECT_EQ(f.states, 90);
  EXPECT_EQ(f.updates, 4);
  EXPECT_EQ(f.smallest_update, 22);
  EXPECT_EQ(f.largest_update, 23);
  // 9 steps of the root, 3 branches of 9 steps, 2 of 7.
  EXPECT_EQ(f.evaluations.rollout, 10 * (9 + 27 + 14));
  EXPECT_EQ(f.evaluations.update, 90);
  EXPECT_TRUE(f.update_is_exact);
}

TEST(Forecast, WithoutSharingEveryRowCostsAPass) {
  const std::vector<std::string> settings = {
      "method.estimator.branches=[3,0,2,0,0,0,0,0,0]",
      "method.regularisation.anchors=false", "sampling.continuation_steps=0"};
  auto apart = settings;
  apart.push_back("sampling.share=none");
  const auto a = forecast(options_with(settings));
  const auto b = forecast(options_with(apart));
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(b.states, b.rows);
  EXPECT_EQ(b.evaluations.rollout - a.evaluations.rollout, a.rows);
}

TEST(Forecast, FollowsAWindowThroughTheEpochs) {
  const auto f = forecast(read_run_options(Config::parse(R"(
name: moving
model: models/shapes-flow
method: {name: mix-grpo, estimator: {window: {every: 1}}}
prompts: {per_epoch: 5, samples_per_prompt: 3}
sampling: {steps: 10}
train: {epochs: 4}
)",
                                                         "my.yaml")));
  // Of 10 steps the first, then the first two, three and four are in common.
  EXPECT_EQ(f.evaluations.rollout, 5 * (1 + 3 * 9));
  EXPECT_DOUBLE_EQ(f.mean_rollout, 5 * (2.5 + 3 * 7.5));
}

TEST(Advise, NamesWhatDoesNotAddUp) {
  EXPECT_TRUE(advises({"prompts.per_epoch=5000"}, "prompts.per_epoch"));
  EXPECT_TRUE(advises({"prompts.per_epoch=16"}, "prompts.per_epoch"));
  EXPECT_FALSE(advises({"prompts.per_epoch=12"}, "prompts.per_epoch"));
  EXPECT_TRUE(advises({"evaluation.images=100"}, "evaluation.images"));
  EXPECT_TRUE(advises({"train.ema_decay=0.9999"}, "train.ema_decay"));
  EXPECT_TRUE(
      advises({"train.updates_per_epoch=999"}, "train.updates_per_epoch"));
  EXPECT_TRUE(advises(
      {"method.regularisation.beta=0", "method.regularisation.anchors=false"},
      "method.regularisation.beta"));
  EXPECT_TRUE(advises({"sampling.continuation_steps=9"},
                      "sampling.continuation_steps"));
  EXPECT_TRUE(advises({"compute.threads=1000"}, "compute.threads"));
  EXPECT_TRUE(advises({"compute.threads=2", "compute.train_tile=4096"},
                      "compute.train_tile"));
}

TEST(Advise, SaysHowManyEpochsFitTheTime) {
  EpochCost cost;
  cost.rollout_seconds = 6;
  const auto options = options_with(
      {"train.epochs=40", "train.max_minutes=2", "train.lr_schedule=linear"});
  const auto counted = forecast(options);
  const auto advice = advise_on_time(options, counted, cost);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_NE(advice[0].text.find("20 epochs fit"), std::string::npos);
  cost.rollout_seconds = 2;
  EXPECT_TRUE(advise_on_time(options, counted, cost).empty());
}

TEST(Advise, CountsWhatEndsTheRunFirst) {
  auto options = options_with({"train.epochs=40", "train.updates_per_epoch=2",
                               "train.lr_schedule=constant",
                               "train.ema_decay=0.9"});  // reaches back 10
  const auto counted = forecast(options);
  EpochCost cost;
  cost.update_seconds = 3;
  EXPECT_EQ(expected_epochs(options, counted, cost), 40);
  options.max_images = 4 * counted.images + 1;
  EXPECT_EQ(expected_epochs(options, counted, cost), 5);
  EXPECT_TRUE(advise_on_time(options, counted, cost).empty());
  options.max_minutes = 0.1;
  EXPECT_NEAR(expected_epochs(options, counted, cost), 2, 1e-9);
  const auto advice = advise_on_time(options, counted, cost);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_EQ(advice[0].key, "train.ema_decay");
  EXPECT_NE(advice[0].text.find("the run has 4:"), std::string::npos);
  EXPECT_FALSE(advises({"train.ema_decay=0.9"}, "train.ema_decay"));
  EXPECT_TRUE(advises({"train.ema_decay=0.9", "train.max_images=100"},
                      "train.ema_decay"));
}

TEST(Forecast, CountsTheEvaluationOfDrift) {
  // Two pictures of each of three prompts: one of them is sampled again.
  const TemporaryFolder folder;
  const std::string prompts = folder / "prompts.txt";
  write_file_atomic(prompts, "one\ntwo\nthree\n");
  const auto evaluations = [&](const std::string& drift_steps) {
    return forecast(options_with({"evaluation.prompts=" + prompts,
                                  "evaluation.images=6", "evaluation.steps=20",
                                  "evaluation.drift_steps=" + drift_steps}))
        .evaluation_evaluations;
  };
  EXPECT_EQ(evaluations("0"), 6 * 20 + 3 * (20 + 19));
  EXPECT_EQ(evaluations("5"), 6 * 20 + 3 * (20 + 5));
}

TEST(Advise, HasNothingToSayOfTheDemo) {
  EXPECT_EQ(keys_of({}), std::vector<std::string>());
}

}  // namespace
}  // namespace rsm
