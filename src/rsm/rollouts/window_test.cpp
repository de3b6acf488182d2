// A window of steps that draw noise.

#include <gtest/gtest.h>

#include <set>

#include "rsm/paths/testing.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

using Move = WindowKnobs::Move;

RolloutPlan windowed(const Path& path, int64_t steps, WindowKnobs window) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.window = window;
  return plan_of(path, knobs, steps);
}

int64_t start_at(const RolloutPlan& plan, int64_t epoch, uint64_t seed = 7) {
  const auto there = plan_of_epoch(plan, epoch, seed);
  EXPECT_EQ(there.rows_per_root(), plan.rows_per_root());
  return there.estimator.window.start;
}

TEST(Window, MovesOneStepAtATimeUntilTheStepsEnd) {
  auto plan = windowed(*flow_path(), 10,
                       {.size = 4, .move = Move::progressive, .every = 25});
  EXPECT_EQ(start_at(plan, 0), 0);
  EXPECT_EQ(start_at(plan, 24), 0);
  EXPECT_EQ(start_at(plan, 25), 1);
  EXPECT_EQ(start_at(plan, 125), 5);  // steps 5 to 8 of 0 to 8
  EXPECT_EQ(start_at(plan, 1000), 5);
  plan.estimator.window.move = Move::frozen;
  EXPECT_EQ(start_at(plan, 1000), 0);
}

TEST(Window, LiesAnywhereFromItsStartOn) {
  const auto plan =
      windowed(*flow_path(), 10,
               {.size = 3, .start = 2, .move = Move::random, .every = 2});
  std::set<int64_t> seen, of_other_seeds;
  for (int64_t epoch = 0; epoch < 200; epoch += 2) {
    seen.insert(start_at(plan, epoch));
    EXPECT_EQ(start_at(plan, epoch), start_at(plan, epoch + 1));
    of_other_seeds.insert(start_at(plan, 0, static_cast<uint64_t>(epoch)));
  }
  // Misses one of five in 100 draws once in 10^9.
  EXPECT_EQ(seen, (std::set<int64_t>{2, 3, 4, 5, 6}));
  EXPECT_EQ(of_other_seeds, seen);
}

TEST(Window, OfAllStepsIsThePathItself) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto request = request_for(2, 2);
    expect_equal(
        roll_out_with_gaussian(path, windowed(*path, 6, {.size = 5}), request),
        roll_out_with_gaussian(path, windowed(*path, 6, {}), request));
    expect_equal(
        roll_out_with_gaussian(path, windowed(*path, 6, {.size = 9}), request),
        roll_out_with_gaussian(path, windowed(*path, 6, {}), request));
  }
}

TEST(Window, HasNoiseAndRowsWithinAndTheOdeElsewhere) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan = windowed(*path, 6, {.size = 2, .start = 1});
    const auto request = request_for(1, 1);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    EXPECT_EQ(rollout.state_step, (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(rollout.row_image, (std::vector<int64_t>{0, 0}));
    EXPECT_EQ(rollout.evaluations, 6);
    EXPECT_EQ(rollout.evaluations, plan.evaluations_per_root());

    GaussianDenoiser denoiser(path);
    const auto times = path->times(6);
    auto x = initial_noise(7, Purpose::initial_noise, 3, request.prompts[0], 0,
                           kShape);
    for (int64_t i = 0; i < 6; ++i) {
      const auto y = denoiser.predict(x, at::full({1}, times[i], at::kFloat),
                                      request.conditions);
      if (i == 1 || i == 2) {
        EXPECT_TRUE(at::equal(rollout.x[i - 1], x[0]));
        x = step(path->noisy_step(times, i, plan.noise), x, y,
                 counted_step_noise(request, 0, 0, i, 0).unsqueeze(0));
        EXPECT_TRUE(at::equal(rollout.x_next[i - 1], x[0]));
      } else {
        x = step(path->ode_step(times, i), x, y, {});
      }
    }
    EXPECT_TRUE(at::equal(rollout.latents[0], x[0]));
  }
}

TEST(Window, IsFollowedByFewerStepsOfSecondOrder) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan =
        windowed(*path, 10, {.size = 3, .start = 1, .continuation = 0.4});
    EXPECT_EQ(plan.steps_after_window(), 3);  // of 6
    EXPECT_EQ(plan.evaluations_per_root(), 4 + 3);
    const auto request = request_for(1, 1);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    EXPECT_EQ(rollout.evaluations, 7);

    GaussianDenoiser denoiser(path);
    const auto times = path->times_from(path->times(10)[4], 3);
    auto x = rollout.x_next[2].unsqueeze(0);
    torch::Tensor before;
    for (int64_t k = 0; k < 3; ++k) {
      const auto y = denoiser.predict(x, at::full({1}, times[k], at::kFloat),
                                      request.conditions);
      x = step(path->ode_step(times, k), x,
               k == 0 ? y : y + path->extrapolation(times, k) * (y - before),
               {});
      before = y;
    }
    EXPECT_TRUE(at::equal(rollout.latents[0], x[0]));
  }
}

/** Roots that begin alike are in one state until noise is drawn: the network is
 * asked once for all of a prompt, and every number is what it was. */
TEST(Window, AsksOnceForStatesThatRootsOfAPromptHaveInCommon) {
  constexpr int64_t kPrompts = 2, kMembers = 3;
  const auto request = request_for(kPrompts, kMembers);
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    EstimatorKnobs tree;
    tree.source = EstimatorKnobs::Source::tree;
    tree.tree.split_steps = {1};
    tree.tree.children = 2;
    tree.tree.sde_steps = {1, 3};
    EstimatorKnobs later;
    later.source = EstimatorKnobs::Source::rollout;
    later.window = {.size = 2, .start = 2};
    auto judged = later;
    judged.baseline = EstimatorKnobs::Baseline::previous_step;
    for (auto& [knobs, common] :
         std::vector<std::pair<EstimatorKnobs, int64_t>>{
             {later, 3}, {judged, 3}, {tree, 2}}) {
      knobs.shared_start = true;
      const auto plan = plan_of(*path, knobs, 6);
      auto apart = plan;
      apart.sharing = Sharing::sampling;
      apart.estimator.shared_start = false;
      EXPECT_EQ(plan.evaluations(kPrompts, kMembers),
                plan.evaluations(kPrompts * kMembers, 1) -
                    common * kPrompts * (kMembers - 1));
      EXPECT_EQ(apart.evaluations(kPrompts, kMembers),
                plan.evaluations(kPrompts * kMembers, 1));
      const auto rollout = roll_out_with_gaussian(path, plan, request);
      EXPECT_EQ(rollout.evaluations, plan.evaluations(kPrompts, kMembers));
      auto again = plan;
      again.sharing = Sharing::none;
      const auto all = roll_out_with_gaussian(path, again, request);
      EXPECT_EQ(all.evaluations,
                kPrompts * kMembers * again.evaluations_per_root());
      EXPECT_TRUE(rollout.latents.equal(all.latents));
    }
  }
}

}  // namespace
}  // namespace rsm
