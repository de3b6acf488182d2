#include "rsm/rollouts/plan.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/methods/catalogue.h"

namespace rsm {
namespace {

RolloutPlan branching(std::vector<int64_t> branches, bool anchors) {
  RolloutPlan plan;
  plan.branches = std::move(branches);
  plan.anchors = anchors;
  return plan;
}

TEST(RolloutPlan, CostsOfThePublishedProfiles) {
  // Continuations as published; a root is evaluated once a step it takes.
  const std::map<std::string, std::pair<int64_t, int64_t>> expected = {
      {"base", {9, 270}},  {"highsnr", {9, 215}}, {"highsnr2", {8, 261}},
      {"base2", {8, 303}}, {"lowsnr", {6, 325}},  {"lowsnr2", {4, 218}}};
  for (const auto& [name, cost] : expected) {
    const auto plan = branching(branch_profile(name), false);
    EXPECT_EQ(plan.root_steps(), cost.first) << name;
    EXPECT_EQ(plan.evaluations_per_root(), cost.first + cost.second) << name;
  }
}

TEST(RolloutPlan, AnchorsReachToTheLastTrainedStep) {
  const auto plan = branching(branch_profile("lowsnr2"), true);
  EXPECT_EQ(plan.root_steps(), 9);
  EXPECT_EQ(plan.states_per_root(), 9);
  EXPECT_EQ(plan.rows_per_root(), 30);
  EXPECT_EQ(plan.evaluations_per_root(), 9 + 218);
}

TEST(RolloutPlan, PathsHaveOneRowAStepButTheLast) {
  RolloutPlan plan;
  plan.source = EstimatorKnobs::Source::rollout;
  plan.steps = 7;
  EXPECT_EQ(plan.rows_per_root(), 6);
  EXPECT_EQ(plan.images_per_root(), 1);
  EXPECT_EQ(plan.evaluations_per_root(), 7);
}

TEST(RolloutPlan, NeverBranchesAtTheLastStep) {
  const auto plan = branching({0, 0, 0, 0, 0, 0, 0, 0, 0, 6}, false);
  EXPECT_EQ(plan.rows_per_root(), 0);
  Method method = find_method("tempflow-grpo");
  method.estimator.branches = plan.branches;
  EXPECT_THROW(make_plan(method, 10, 0.7), Error);
  EXPECT_THROW(make_plan(find_method("flow-grpo"), 10, 0), Error);
  EXPECT_THROW(make_plan(find_method("flow-grpo"), 1, 0.7), Error);
}

}  // namespace
}  // namespace rsm
