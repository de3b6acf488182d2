#include "rsm/rollouts/plan.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;

RolloutPlan branching(std::vector<int64_t> branches, bool anchors) {
  RolloutPlan plan;
  plan.estimator.branches = std::move(branches);
  plan.anchors = anchors;
  return plan;
}

RolloutPlan splitting(int64_t steps, std::vector<int64_t> split_steps,
                      int64_t children) {
  return tree_plan(*flow_path(), steps, std::move(split_steps), children);
}

TEST(RolloutPlan, CostsOfThePublishedProfiles) {
  // Continuations as published; a root is evaluated once a step it takes.
  const std::map<std::string, std::pair<int64_t, int64_t>> expected = {
      {"base", {9, 270}},  {"highsnr", {9, 215}}, {"highsnr2", {8, 261}},
      {"base2", {8, 303}}, {"lowsnr", {6, 325}},  {"lowsnr2", {4, 218}}};
  for (const auto& [name, cost] : expected) {
    const auto plan = branching(branch_profile(name, 10), false);
    EXPECT_EQ(plan.root_steps(), cost.first) << name;
    EXPECT_EQ(plan.evaluations_per_root(), cost.first + cost.second) << name;
  }
}

TEST(RolloutPlan, AnchorsReachToTheLastTrainedStep) {
  const auto plan = branching(branch_profile("lowsnr2", 10), true);
  EXPECT_EQ(plan.root_steps(), 9);
  EXPECT_EQ(plan.states_per_root(), 9);
  EXPECT_EQ(plan.rows_per_root(), 30);
  EXPECT_EQ(plan.evaluations_per_root(), 9 + 218);
}

TEST(RolloutPlan, PathsHaveOneRowAStepButTheLast) {
  for (const auto sharing : {Sharing::all, Sharing::sampling, Sharing::none}) {
    RolloutPlan plan;
    plan.estimator.source = Source::rollout;
    plan.steps = 7;
    plan.sharing = sharing;
    EXPECT_EQ(plan.rows_per_root(), 6);
    EXPECT_EQ(plan.states_per_root(), 6);
    EXPECT_EQ(plan.images_per_root(), 1);
    EXPECT_EQ(plan.evaluations_per_root(), 7);
  }
}

TEST(RolloutPlan, TreesMultiplyAtEverySplit) {
  // Nodes at the steps 0..4: 1, 3, 3, 9, 9.
  const auto plan = splitting(5, {0, 2}, 3);
  const std::vector<int64_t> nodes = {1, 3, 3, 9, 9};
  const std::vector<int64_t> branches = {3, 1, 3, 1, 0};
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(plan.nodes_at(i), nodes[i]) << i;
    EXPECT_EQ(plan.branches_at(i), branches[i]) << i;
    EXPECT_EQ(plan.states_at(i), i < 4 ? nodes[i] : 0) << i;
  }
  EXPECT_EQ(plan.rows_per_root(), 3 + 3 + 9 + 9);
  EXPECT_EQ(plan.states_per_root(), 1 + 3 + 3 + 9);
  EXPECT_EQ(plan.images_per_root(), 9);
  EXPECT_EQ(plan.evaluations_per_root(), 1 + 3 + 3 + 9 + 9);
}

TEST(RolloutPlan, OdeStepsOfATreeCostNoLessAndHaveNoRows) {
  auto plan = splitting(6, {0, 2}, 3);
  plan.estimator.tree.sde_steps = {2, 3};
  const std::vector<int64_t> branches = {3, 0, 3, 1, 0, 0};
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(plan.branches_at(i), branches[i]) << i;
  }
  EXPECT_EQ(plan.rows_per_root(), 3 + 9 + 9);
  EXPECT_EQ(plan.states_per_root(), 1 + 3 + 9);
  EXPECT_EQ(plan.images_per_root(), 9);
  EXPECT_EQ(plan.evaluations_per_root(), 1 + 3 + 3 + 9 + 9 + 9);
}

TEST(RolloutPlan, UnsharedTreesCopyAndEvaluateAtSplitsOnly) {
  auto plan = splitting(5, {0, 2}, 3);
  plan.sharing = Sharing::sampling;
  EXPECT_EQ(plan.states_per_root(), plan.rows_per_root());
  EXPECT_EQ(plan.evaluations_per_root(), 25);
  plan.sharing = Sharing::none;
  EXPECT_EQ(plan.evaluations_per_root(), 25 + 3 + 9);
}

TEST(RolloutPlan, CostsOfThePublishedTree) {
  // 20 steps, two children at 0, 3, 6 and 9: 16 leaves for 203 evaluations,
  // which as paths of their own would take 320.
  const auto plan = splitting(20, {0, 3, 6, 9}, 2);
  EXPECT_EQ(plan.images_per_root(), 16);
  EXPECT_EQ(plan.evaluations_per_root(), 1 + 3 * 2 + 3 * 4 + 3 * 8 + 10 * 16);
}

TEST(RolloutPlan, TransitionsKnowTheNoiseOfSplitsUnlessAsPublished) {
  const auto path = flow_path();
  auto plan = splitting(10, {0, 3}, 2);
  plan.estimator.tree.split_noise = 4;
  const auto usual = path->noisy_steps(path->times(10), plan.noise);
  const auto corrected = plan.transitions(*path);
  plan.split_noise_recorded = false;
  const auto published = plan.transitions(*path);
  for (int64_t i = 0; i < 10; ++i) {
    const double factor = i == 0 || i == 3 ? 4 : 1;
    EXPECT_EQ(plan.noise_factor_at(i), factor);
    EXPECT_DOUBLE_EQ(corrected[i].s, factor * usual[i].s);
    EXPECT_DOUBLE_EQ(corrected[i].diffusion, factor * usual[i].diffusion);
    EXPECT_DOUBLE_EQ(corrected[i].w(), usual[i].w() / factor);
    EXPECT_EQ(corrected[i].a_x, usual[i].a_x);
    EXPECT_EQ(corrected[i].m_y, usual[i].m_y);
    EXPECT_EQ(published[i].s, usual[i].s);
    EXPECT_EQ(published[i].diffusion, usual[i].diffusion);
  }
}

TEST(MakePlan, TakesAllThatTheMethodSays) {
  Method method = find_method("flow-grpo");
  method.estimator.source = Source::tree;
  method.estimator.tree.split_steps = {1, 4};
  method.estimator.tree.children = 3;
  method.estimator.tree.split_noise = 2;
  method.estimator.tree.sde_steps = {2};
  method.estimator.shared_start = true;
  const StepNoise noise = {SamplerNoise::cps, 0.4, 3};
  auto plan = make_plan(method, 8, noise, 2, Sharing::sampling);
  EXPECT_EQ(plan.estimator.source, Source::tree);
  EXPECT_EQ(plan.steps, 8);
  EXPECT_EQ(plan.noise.kind, SamplerNoise::cps);
  EXPECT_EQ(plan.noise.level, 0.4);
  EXPECT_EQ(plan.noise.weight, 3);
  EXPECT_EQ(plan.continuation_steps, 2);
  EXPECT_EQ(plan.sharing, Sharing::sampling);
  EXPECT_TRUE(plan.estimator.shared_start);
  EXPECT_EQ(plan.estimator.tree.split_steps, (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(plan.estimator.tree.children, 3);
  EXPECT_EQ(plan.estimator.tree.split_noise, 2);
  EXPECT_EQ(plan.estimator.tree.sde_steps, (std::vector<int64_t>{2}));
  EXPECT_TRUE(plan.split_noise_recorded);
  method.as_published = true;
  EXPECT_FALSE(make_plan(method, 8, noise).split_noise_recorded);
}

TEST(MakePlan, NeverBranchesAtTheLastStep) {
  const auto plan = branching({0, 0, 0, 0, 0, 0, 0, 0, 0, 6}, false);
  EXPECT_EQ(plan.rows_per_root(), 0);
  Method method = find_method("tempflow-grpo");
  method.estimator.branches = plan.estimator.branches;
  EXPECT_THROW(make_plan(method, 10, {}), Error);
  EXPECT_THROW(make_plan(find_method("flow-grpo"), 10, {.level = 0}), Error);
  EXPECT_THROW(make_plan(find_method("flow-grpo"), 1, {}), Error);
}

TEST(MakePlan, RefusesTreesThatDoNotAddUp) {
  const auto tree = [](std::vector<int64_t> split_steps) {
    Method method = find_method("flow-grpo");
    method.estimator.source = Source::tree;
    method.estimator.tree.split_steps = std::move(split_steps);
    return make_plan(method, 20, {});
  };
  EXPECT_NO_THROW(tree({0, 18}));
  EXPECT_THROW(tree({0, 19}), Error);
  EXPECT_THROW(tree({-1, 3}), Error);
  EXPECT_THROW(tree({3, 3}), Error);
  EXPECT_THROW(tree({3, 0}), Error);
  EXPECT_NO_THROW(tree({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));  // 4096
  EXPECT_THROW(tree({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), Error);
}

}  // namespace
}  // namespace rsm
