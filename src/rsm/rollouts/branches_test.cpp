#include "rsm/rollouts/branches.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/paths/transitions.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

/** Branch counts by step, on a path's usual noise. */
RolloutPlan branching(const Path& path, int64_t steps,
                      std::vector<int64_t> branches) {
  RolloutPlan plan;
  plan.steps = steps;
  plan.noise.level = usual_level(SamplerNoise::usual, path.family());
  plan.estimator.branches = std::move(branches);
  return plan;
}

TEST(Branches, ContinueAsTheOdeFromWhereTheyLed) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    GaussianDenoiser denoiser(path);
    const auto times = path->times(10);
    const auto request = request_for(2, 1);
    const auto plan = plan_on(*path, find_method("tempflow-grpo"));
    const auto rollout = roll_out(denoiser, *path, plan, request);
    for (int64_t r = 0; r < rollout.rows(); r += 7) {
      const int64_t s = rollout.row_state[r];
      const auto prompt = torch::tensor({rollout.state_prompt[s]});
      const auto x = sample_ode(
          denoiser, *path,
          {times.begin() + rollout.state_step[s] + 1, times.end()},
          rollout.x_next.slice(0, r, r + 1), request.conditions.select(prompt));
      // Float32 rounding, in another order of operations.
      EXPECT_TRUE(at::allclose(x[0], rollout.latents[rollout.row_image[r]],
                               1e-5, 1e-6));
    }
  }
}

TEST(Branches, RootsTakeOdeSteps) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = branching(*path, 10, {2, 0, 1});
    plan.anchors = true;
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(1, 1));
    const auto times = path->times(10);
    ASSERT_EQ(rollout.states(), 9);
    for (int64_t i = 0; i + 1 < 9; ++i) {
      EXPECT_TRUE(at::equal(
          rollout.x[i + 1],
          step(path->ode_step(times, i), rollout.x[i], rollout.y[i], {})));
    }
  }
}

TEST(Branches, PicturesStandByRootStepAndBranch) {
  const auto path = flow_path();
  const auto rollout = roll_out_with_gaussian(
      path, branching(*path, 6, {2, 0, 1}), request_for(2, 1));
  EXPECT_EQ(rollout.row_image, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(rollout.image_prompt, (std::vector<int64_t>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(rollout.state_step, (std::vector<int64_t>{0, 2, 0, 2}));
  EXPECT_TRUE(rollout.row_images.empty());
}

/** Root mean square distance of cheap continuations of the branches at step 1
 * from where the exact ODE leads them. */
double continuation_error(const PathPointer& path, int64_t continuation_steps) {
  auto plan = branching(*path, 50, {0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 2});
  const auto request = request_for(1, 2);
  const auto usual = roll_out_with_gaussian(path, plan, request);
  plan.continuation_steps = continuation_steps;
  GaussianDenoiser denoiser(path);
  const auto cheap = roll_out(denoiser, *path, plan, request);
  EXPECT_EQ(denoiser.rows, 2 * plan.evaluations_per_root());
  EXPECT_EQ(denoiser.rows, 2 * (11 + 8 * continuation_steps));
  EXPECT_TRUE(at::equal(cheap.x_next, usual.x_next));
  const auto exact =
      exact_picture(*path, cheap.x_next.slice(0, 0, 6), path->times(50)[2], 0);
  return std::sqrt(
      (cheap.latents.slice(0, 0, 6) - exact).square().mean().item<double>());
}

TEST(Branches, CheapContinuationsCostWhatThePlanSaysAndConvergeAtOrderTwo) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const double sixteen = continuation_error(path, 16),
                 thirty_two = continuation_error(path, 32);
    // Second order: half the step, a quarter of the error or, this early, a
    // little more; a first-order solver would leave half of it. A bias would
    // not shrink.
    EXPECT_LT(thirty_two, sixteen / 3);
    EXPECT_LT(thirty_two, 0.015);
  }
}

TEST(Branches, CheapContinuationsWhereFewerStepsRemainAreTheUsualOnes) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = branching(*path, 10, {0, 0, 0, 0, 0, 0, 2});
    const auto usual = roll_out_with_gaussian(path, plan, request_for(1, 2));
    plan.continuation_steps = 3;
    expect_equal(usual, roll_out_with_gaussian(path, plan, request_for(1, 2)));
  }
}

TEST(Branches, MirroredOnesHaveTheOppositeNoise) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = branching(*path, 5, {2, 0, 3});
    const auto usual = roll_out_with_gaussian(path, plan, request_for(2, 1));
    plan.mirrored = true;
    const auto other = roll_out_with_gaussian(path, plan, request_for(2, 1));
    EXPECT_TRUE(at::equal(usual.x, other.x));
    EXPECT_FALSE(at::equal(usual.latents, other.latents));
    for (int64_t r = 0; r < usual.rows(); ++r) {
      const int64_t state = usual.row_state[r];
      const auto& step = usual.transition_of(state);
      const auto mean = step.a_x * usual.x[state] + step.m_y * usual.y[state];
      // Sums of three terms of order 1, in float32.
      EXPECT_TRUE(at::allclose((usual.x_next[r] + other.x_next[r]) / 2, mean,
                               1e-5, 1e-5));
    }
  }
}

void expect_same_rows(const Rollout& shared, const Rollout& apart) {
  ASSERT_EQ(apart.rows(), shared.rows());
  EXPECT_FALSE(apart.shared);
  EXPECT_TRUE(at::equal(shared.latents, apart.latents));
  EXPECT_TRUE(at::equal(shared.x_next, apart.x_next));
  EXPECT_EQ(shared.row_image, apart.row_image);
  EXPECT_EQ(shared.row_images, apart.row_images);
  for (int64_t r = 0; r < shared.rows(); ++r) {
    const int64_t s = shared.row_state[r], a = apart.row_state[r];
    EXPECT_EQ(shared.state_step[s], apart.state_step[a]);
    EXPECT_EQ(shared.state_root[s], apart.state_root[a]);
    EXPECT_TRUE(at::equal(shared.x[s], apart.x[a]));
    EXPECT_TRUE(at::equal(shared.y[s], apart.y[a]));
    // Each row has a state of its own.
    EXPECT_TRUE(r == 0 || apart.row_state[r] > apart.row_state[r - 1]);
  }
}

TEST(Branches, UnsharedStatesLeadToTheSamePicturesForMoreWork) {
  for (const auto& path : both_paths()) {
    auto with_anchors = branching(*path, 10, {3, 0, 2, 0, 0, 1});
    with_anchors.anchors = true;
    // Of 3 + 2 + 1 rows all share a root's output, of 2 + 4 + 4 * 7 in the
    // tree the 2 + 4 at splits.
    const std::vector<std::pair<RolloutPlan, int64_t>> plans = {
        {branching(*path, 10, {3, 0, 2, 0, 0, 1}), 6},
        {with_anchors, 6},
        {tree_plan(*path, 10, {0, 1}, 2), 6}};
    for (auto [plan, sharing_rows] : plans) {
      const auto shared = roll_out_with_gaussian(path, plan, request_for(2, 2));
      for (const auto sharing : {Sharing::sampling, Sharing::none}) {
        plan.sharing = sharing;
        GaussianDenoiser denoiser(path);
        const auto apart = roll_out(denoiser, *path, plan, request_for(2, 2));
        expect_same_rows(shared, apart);
        EXPECT_EQ(denoiser.rows, 4 * plan.evaluations_per_root());
        EXPECT_EQ(denoiser.rows - shared.evaluations,
                  sharing == Sharing::none ? 4 * sharing_rows : 0);
        EXPECT_EQ(apart.states(), 4 * plan.states_per_root());
      }
    }
  }
}

}  // namespace
}  // namespace rsm
