// Two paths of one start.

#include "rsm/rollouts/pairs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/paths/forward.h"
#include "rsm/paths/testing.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

constexpr int64_t kSteps = 4;

RolloutPlan pairs_on(const Path& path,
                     SamplerNoise noise = SamplerNoise::usual) {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::pairs;
  return make_plan(method, kSteps,
                   {.kind = noise, .level = usual_level(noise, path.family())});
}

TEST(Pairs, HandOnTwoStatesOfEveryStepAndTwoPictures) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan = pairs_on(*path);
    EXPECT_EQ(plan.evaluations_per_root(), 2 * kSteps);
    EXPECT_EQ(plan.images_per_root(), 2);
    EXPECT_EQ(plan.rows_per_root(), 2 * kSteps);
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(2, 2));
    EXPECT_EQ(rollout.evaluations, 4 * plan.evaluations_per_root());
    const auto first = root_of(rollout, 0);
    EXPECT_EQ(first.state_step, (std::vector<int64_t>{0, 0, 1, 1, 2, 2, 3, 3}));
    EXPECT_EQ(first.row_state, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(first.row_image, (std::vector<int64_t>{0, 1, 0, 1, 0, 1, 0, 1}));
    EXPECT_EQ(rollout.x_next.size(0), 0);
    // A row is of the outputs at a time, as of a picture.
    const auto times = path->times(kSteps);
    for (int64_t i = 0; i < kSteps; ++i) {
      expect_same(rollout.transitions[i], forward_row(*path, times[i]));
    }
  }
}

/** Step by step, with the documented noise of each path. */
TEST(Pairs, BeginAtOneNoiseAndTakeNoisyStepsOfTheirOwn) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan = pairs_on(*path);
    const auto request = request_for(1, 1);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    const auto times = path->times(kSteps);
    const auto steps = path->noisy_steps(times, plan.noise);
    EXPECT_TRUE(at::equal(rollout.x[0],
                          initial_noise(7, Purpose::initial_noise, 3,
                                        request.prompts[0], 0, kShape)[0]));
    EXPECT_TRUE(at::equal(rollout.x[0], rollout.x[1]));
    for (int64_t i = 0; i < kSteps; ++i) {
      for (int64_t k = 0; k < 2; ++k) {
        const int64_t s = 2 * i + k;
        if (i + 1 == kSteps) {
          const auto end =
              step(path->ode_step(times, i), rollout.x[s], rollout.y[s], {});
          EXPECT_TRUE(at::equal(rollout.latents[k], end)) << k;
          continue;
        }
        const auto next = step(steps[i], rollout.x[s], rollout.y[s],
                               counted_step_noise(request, 0, 0, i, k));
        EXPECT_TRUE(at::equal(rollout.x[s + 2], next)) << s;
      }
    }
    EXPECT_FALSE(at::equal(rollout.latents[0], rollout.latents[1]));
  }
}

/** As FDFO's release has it, with gamma 0.0025: a start keeps 1 / (1 + gamma)
 * of the noise that is shared. */
TEST(Pairs, UnderChurnHaveAPartOfTheirStartAnew) {
  const auto path = flow_path();
  const auto plan = pairs_on(*path, SamplerNoise::churn);
  const auto request = request_for(1, 1);
  const auto rollout = roll_out_with_gaussian(path, plan, request);
  const auto shared = initial_noise(7, Purpose::initial_noise, 3,
                                    request.prompts[0], 0, kShape)[0];
  const double gamma = 0.0025;
  for (int64_t k = 0; k < 2; ++k) {
    const auto own = counted_step_noise(request, 0, 0, kSteps, k);
    const auto start =
        (shared + std::sqrt((1 + gamma) * (1 + gamma) - 1) * own) / (1 + gamma);
    EXPECT_TRUE(at::allclose(rollout.x[k], start, 1e-5, 1e-6)) << k;
  }
  EXPECT_FALSE(at::equal(rollout.x[0], rollout.x[1]));
  // The churn that all steps leave: about as much as one of them draws.
  const double apart =
      (rollout.latents[0] - rollout.latents[1]).square().mean().item<double>();
  EXPECT_GT(apart, 0);
  EXPECT_LT(apart, 0.2);
}

TEST(Pairs, DoNotDependOnTheirNeighboursNorOnParts) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan = pairs_on(*path);
    const auto request = request_for(3, 2);
    const auto all = roll_out_with_gaussian(path, plan, request);
    const auto alone =
        roll_out_with_gaussian(path, plan, entries_of(request, {1}));
    expect_equal(root_of(all, 2), root_of(alone, 0));
    expect_equal(root_of(all, 3), root_of(alone, 1));
    expect_equal(roll_out_in_parts(path, plan, request), all);
  }
}

}  // namespace
}  // namespace rsm
