#include "rsm/rollouts/judged_steps.h"

#include <gtest/gtest.h>

#include "rsm/paths/testing.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

RolloutPlan judged(const Path& path, int64_t steps, WindowKnobs window = {}) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.baseline = EstimatorKnobs::Baseline::previous_step;
  knobs.window = window;
  return plan_of(path, knobs, steps);
}

/** Where the ODE leads from x [1,C,H,W] on, at step i of the grid. */
torch::Tensor ode_picture(const PathPointer& path, torch::Tensor x, int64_t i,
                          int64_t steps, const Condition& condition) {
  GaussianDenoiser denoiser(path);
  const auto times = path->times(steps);
  for (; i < steps; ++i) {
    const auto y =
        denoiser.predict(x, at::full({1}, times[i], at::kFloat), condition);
    x = step(path->ode_step(times, i), x, y, {});
  }
  return x[0];
}

TEST(JudgedSteps, HaveThePicturesOfTheirBeginningsAndOfTheLastOnesEnd) {
  constexpr int64_t kSteps = 5;
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto request = request_for(1, 2);
    const auto plan = judged(*path, kSteps);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    ASSERT_EQ(rollout.images(), 2 * kSteps);
    EXPECT_EQ(rollout.row_image,
              (std::vector<int64_t>{1, 2, 3, 4, 6, 7, 8, 9}));
    // 4 + 3 + 2 + 1 beside the path's own.
    EXPECT_EQ(rollout.evaluations, 2 * (kSteps + 10));
    EXPECT_EQ(rollout.evaluations, 2 * plan.evaluations_per_root());
    for (int64_t r = 0; r < rollout.rows(); ++r) {
      const int64_t s = rollout.row_state[r], i = rollout.state_step[s];
      const auto of = [&](const torch::Tensor& x, int64_t from) {
        return ode_picture(path, x.unsqueeze(0), from, kSteps,
                           request.conditions);
      };
      EXPECT_TRUE(at::allclose(rollout.latents[rollout.row_image[r] - 1],
                               of(rollout.x[s], i), 0, 1e-6));
      EXPECT_TRUE(at::allclose(rollout.latents[rollout.row_image[r]],
                               of(rollout.x_next[r], i + 1), 0, 1e-6));
    }
  }
}

TEST(JudgedSteps, DrawTheSamePathsAsUnjudgedOnes) {
  for (const auto& window :
       {WindowKnobs{}, WindowKnobs{.size = 2, .start = 1}}) {
    for (const auto& path : both_paths()) {
      SCOPED_TRACE(name_of(*path));
      auto plan = judged(*path, 6, window);
      const auto request = request_for(2, 2);
      const auto with = roll_out_with_gaussian(path, plan, request);
      plan.estimator.baseline = EstimatorKnobs::Baseline::mean;
      const auto without = roll_out_with_gaussian(path, plan, request);
      EXPECT_TRUE(at::equal(with.x, without.x));
      EXPECT_TRUE(at::equal(with.x_next, without.x_next));
      EXPECT_EQ(with.row_state, without.row_state);
      const int64_t each = with.images() / without.images();
      for (int64_t root = 0; root < without.images(); ++root) {
        EXPECT_TRUE(at::equal(with.latents[(root + 1) * each - 1],
                              without.latents[root]));
      }
    }
  }
}

}  // namespace
}  // namespace rsm
