// What the steps of a path gain.

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/testing.h"

namespace rsm {
namespace {

constexpr int64_t kGainRows = 3;  // of a path

/** One prompt's paths, each with a picture before its first row. */
Rollout judged_paths(int64_t paths) {
  Rollout rollout;
  rollout.prompts = {{10, "a", ""}};
  rollout.transitions.resize(kGainRows + 1);
  for (int64_t path = 0; path < paths; ++path) {
    rollout.image_prompt.push_back(0);
    for (int64_t step = 0; step < kGainRows; ++step) {
      rollout.state_root.push_back(path);
      rollout.state_prompt.push_back(0);
      rollout.state_step.push_back(step);
      rollout.row_state.push_back(rollout.states() - 1);
      rollout.row_image.push_back(rollout.images());
      rollout.image_prompt.push_back(0);
    }
  }
  return rollout;
}

EstimatorKnobs judged_knobs() {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.grouping = EstimatorKnobs::Grouping::prompt;
  knobs.baseline = EstimatorKnobs::Baseline::previous_step;
  return knobs;
}

TEST(StepGains, AreStandardisedAmongThePathsAtEachStepAsPublished) {
  constexpr int64_t kPaths = 5;
  const auto reward = counted_normal(1, {kPaths, kGainRows + 1});
  const auto got =
      row_advantages(judged_paths(kPaths), scores(reward.flatten()),
                     judged_knobs(), 5, nullptr);
  const auto r = reward.to(at::kDouble);
  const auto gain = r.slice(1, 1) - r.slice(1, 0, kGainRows);
  const auto expected =
      (gain - gain.mean(0)) / (gain.std(0, /*unbiased=*/false) + 1e-4);
  EXPECT_TRUE(at::allclose(got.value.view({kPaths, kGainRows}).to(at::kDouble),
                           expected, 0, 1e-6));
  EXPECT_EQ(got.groups(), kGainRows);
}

TEST(StepGains, AddUpToWhatThePathGained) {
  auto knobs = judged_knobs();
  knobs.spread = EstimatorKnobs::Spread::none;
  const auto reward = counted_normal(2, {2, kGainRows + 1});
  const auto got = row_advantages(judged_paths(2), scores(reward.flatten()),
                                  knobs, 100, nullptr);
  const auto sums = got.value.view({2, kGainRows}).sum(1);
  const auto whole = reward.select(1, kGainRows) - reward.select(1, 0);
  EXPECT_TRUE(at::allclose(sums, whole - whole.mean(), 0, 1e-6));
}

TEST(StepGains, AreComparedWithinTheirStepAlsoOverTheBatch) {
  auto knobs = judged_knobs();
  knobs.grouping = EstimatorKnobs::Grouping::batch;
  const auto reward = counted_normal(3, {4 * (kGainRows + 1)});
  const auto of = [&] {
    return row_advantages(judged_paths(4), scores(reward), knobs, 5, nullptr);
  };
  const auto batch = of();
  EXPECT_EQ(batch.groups(), kGainRows);
  knobs.grouping = EstimatorKnobs::Grouping::prompt;  // the only one
  EXPECT_TRUE(at::equal(batch.value, of().value));
}

TEST(StepGains, NeedThePictureBefore) {
  auto rollout = judged_paths(2);
  for (auto& image : rollout.row_image) --image;
  EXPECT_THROW(row_advantages(rollout, scores(torch::zeros({8})),
                              judged_knobs(), 5, nullptr),
               Error);
}

}  // namespace
}  // namespace rsm
