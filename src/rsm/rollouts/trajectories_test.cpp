#include <gtest/gtest.h>

#include "rsm/paths/transitions.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

RolloutPlan trajectories(const Path& path, bool stochastic, int64_t steps) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::trajectory;
  knobs.gradient.stochastic = stochastic;
  return plan_of(path, knobs, steps);
}

TEST(Trajectories, HandOnEveryStateAndNoNextOnes) {
  for (const auto& path : both_paths()) {
    const auto plan = trajectories(*path, true, 7);
    EXPECT_EQ(plan.states_per_root(), 7);
    EXPECT_EQ(plan.rows_per_root(), 7);
    EXPECT_EQ(plan.images_per_root(), 1);
    EXPECT_EQ(plan.evaluations_per_root(), 7);
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(2, 3));
    EXPECT_EQ(rollout.x.size(0), 6 * 7);
    EXPECT_EQ(rollout.x_next.numel(), 0);
    EXPECT_EQ(rollout.latents.size(0), 6);
    EXPECT_EQ(rollout.evaluations, 6 * 7);
    EXPECT_EQ(rollout.row_image.at(20), 2);
  }
}

TEST(Trajectories, TakeTheOdeOrTheStepsWithTheirNoise) {
  for (const auto& path : both_paths()) {
    const auto request = request_for(1, 2);
    for (const bool stochastic : {false, true}) {
      const auto plan = trajectories(*path, stochastic, 5);
      const auto rollout = roll_out_with_gaussian(path, plan, request);
      for (int64_t s = 0; s < rollout.states(); ++s) {
        const int64_t step = s % 5;
        auto here = rollout.transitions[step];
        const auto next = step == 4 ? rollout.latents[s / 5] : rollout.x[s + 1];
        auto expected = step_mean(here, rollout.x[s], rollout.y[s]);
        if (stochastic) {
          expected = expected +
                     here.s * counted_step_noise(request, 0, s / 5, step, 0);
        }
        EXPECT_TRUE(at::allclose(next, expected, 1e-4, 1e-5))
            << name_of(*path) << " " << s;
        EXPECT_GT(here.s, 0);
      }
      if (stochastic) continue;
      GaussianDenoiser denoiser(path);
      EXPECT_TRUE(at::allclose(
          rollout.latents,
          sample_ode(denoiser, *path, path->times(5),
                     rollout.x.index({at::indexing::Slice(0, 10, 5)}),
                     joined(request.conditions, request.conditions)),
          1e-5, 1e-6));
    }
  }
}

TEST(Trajectories, DoNotDependOnTheirParts) {
  const auto path = diffusion_path();
  const auto plan = trajectories(*path, true, 4);
  const auto request = request_for(3, 2);
  expect_equal(roll_out_in_parts(path, plan, request),
               roll_out_with_gaussian(path, plan, request));
}

}  // namespace
}  // namespace rsm
