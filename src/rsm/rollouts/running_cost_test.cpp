#include "rsm/rollouts/running_cost.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "rsm/io/testing.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;

/** Of the KL itself: temperature 1. */
double half_w_squared(const Transition& step) {
  return step.s > 0 ? 0.5 * step.w() * step.w() : 0;
}

/** A policy that has left the Gaussian model, and what it pays. */
struct Paying {
  explicit Paying(const PathPointer& where)
      : path(where), policy(where), reference(where) {}

  RunningCost cost() { return {&reference, half_w_squared}; }
  Rollout draw(const RolloutPlan& plan, const RolloutRequest& request) {
    return roll_out(policy, *path, plan, request, {}, cost());
  }
  /** |y - y_ref|^2 at states of a time, by place. */
  torch::Tensor apart(const torch::Tensor& x, double t,
                      const Condition& condition) {
    const auto at = torch::full({x.size(0)}, t);
    return (policy.predict(x, at, condition) -
            reference.predict(x, at, condition))
        .square()
        .sum(1);
  }

  PathPointer path;
  StretchedGaussian policy;
  GaussianDenoiser reference;
};

RolloutPlan soft_plan(const Path& path, EstimatorKnobs knobs, int64_t steps) {
  knobs.returns = EstimatorKnobs::Return::soft;
  return plan_of(path, knobs, steps);
}

EstimatorKnobs paths_alone() {
  EstimatorKnobs knobs;
  knobs.source = Source::rollout;
  return knobs;
}

EstimatorKnobs a_tree() {
  EstimatorKnobs knobs;
  knobs.source = Source::tree;
  knobs.tree.split_steps = {1, 3};
  knobs.tree.children = 3;
  return knobs;
}

/** The pictures that a row led to. */
std::set<int64_t> images_of(const RolloutIndex& rollout, int64_t row) {
  const int64_t count =
      rollout.row_images.empty() ? 1 : rollout.row_images[row];
  std::set<int64_t> out;
  for (int64_t i = 0; i < count; ++i) out.insert(rollout.row_image[row] + i);
  return out;
}

/** What a row pays on the way to one of its pictures: at all later states that
 * lead there. */
torch::Tensor cost_to(Paying& here, const Rollout& rollout, int64_t row,
                      int64_t image, const RolloutRequest& request) {
  const int64_t own = rollout.row_state[row];
  auto out = torch::zeros_like(rollout.cost[0]);
  std::set<int64_t> seen;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t state = rollout.row_state[r];
    const bool later = rollout.state_step[state] > rollout.state_step[own];
    const bool elsewhere = !later || images_of(rollout, r).count(image) == 0 ||
                           rollout.state_root[state] != rollout.state_root[own];
    if (elsewhere || !seen.insert(state).second) continue;
    const auto& step = rollout.transition_of(state);
    const auto prompt = torch::tensor({rollout.state_prompt[state]});
    out +=
        half_w_squared(step) * here.apart(rollout.x.narrow(0, state, 1), step.t,
                                          request.conditions.select(prompt))[0];
  }
  return out;
}

TEST(RunningCost, RowsPayForTheStatesBehindThem) {
  for (const auto& path : both_paths()) {
    for (const auto& knobs : {paths_alone(), a_tree()}) {
      Paying here(path);
      const auto request = request_for(2, 1);
      const auto plan = soft_plan(*path, knobs, 6);
      const auto rollout = here.draw(plan, request);
      ASSERT_EQ(rollout.cost.size(0), rollout.rows());
      for (int64_t row = 0; row < rollout.rows(); ++row) {
        auto mean = torch::zeros_like(rollout.cost[0]);
        const auto images = images_of(rollout, row);
        for (const int64_t image : images) {
          mean += cost_to(here, rollout, row, image, request);
        }
        mean /= static_cast<double>(images.size());
        // float32, added in another order.
        EXPECT_TRUE(at::allclose(rollout.cost[row], mean, 1e-4, 1e-6))
            << name_of(*path) << " " << row;
      }
    }
  }
}

TEST(RunningCost, TheReferenceIsAskedOnceAStateAndItsOutputsStay) {
  for (const auto& path : both_paths()) {
    for (const auto& knobs : {paths_alone(), a_tree()}) {
      Paying here(path);
      const auto request = request_for(2, 2);
      const auto plan = soft_plan(*path, knobs, 6);
      const auto rollout = here.draw(plan, request);
      EXPECT_EQ(here.reference.rows, 4 * cost_evaluations_per_root(plan));
      EXPECT_EQ(rollout.reference_evaluations, here.reference.rows);
      EXPECT_EQ(here.policy.rows, 4 * plan.evaluations_per_root());
      const auto& known = rollout.reference;
      EXPECT_EQ(known.states, paying_states(plan, rollout));
      EXPECT_EQ(std::ssize(known.states), rollout.reference_evaluations);
      for (size_t k = 0; k < known.states.size(); ++k) {
        const int64_t state = known.states[k];
        const auto prompt = torch::tensor({rollout.state_prompt[state]});
        EXPECT_GE(rollout.state_step[state], 1);
        EXPECT_TRUE(at::equal(
            known.y[static_cast<int64_t>(k)],
            here.reference.predict(rollout.x.narrow(0, state, 1),
                                   times_of(rollout, {state}),
                                   request.conditions.select(prompt))[0]));
      }
    }
  }
}

/** What the ODE's way along `times` from x costs, on which no noise is drawn;
 * by steps of second order where it `mixes`. */
torch::Tensor cost_of_way(Paying& here, torch::Tensor x,
                          const std::vector<double>& times, bool mixes,
                          const StepNoise& noise, const Condition& condition) {
  torch::Tensor before;
  auto out = torch::zeros_like(x.select(1, 0));
  for (int64_t k = 0; k + 1 < std::ssize(times); ++k) {
    const auto t = torch::full({x.size(0)}, times[k]);
    const auto y = here.policy.predict(x, t, condition);
    if (k + 2 < std::ssize(times)) {
      out += half_w_squared(here.path->noisy_step(times, k, noise)) *
             here.apart(x, times[k], condition);
    }
    const auto mixed =
        mixes && k > 0 ? y + here.path->extrapolation(times, k) * (y - before)
                       : y;
    x = step(here.path->ode_step(times, k), x, mixed, {});
    before = y;
  }
  return out;
}

TEST(RunningCost, OfTheOdeIsThatOfTheStepsItWouldDraw) {
  for (const auto& path : both_paths()) {
    for (const int64_t continuation : {0, 3}) {
      Paying here(path);
      EstimatorKnobs knobs;
      knobs.branches = {2, 0, 1, 0, 0, 3, 0, 0, 2};
      auto plan = soft_plan(*path, knobs, 10);
      plan.continuation_steps = continuation;
      const auto request = request_for(2, 1);
      const auto rollout = here.draw(plan, request);
      const auto grid = path->times(10);
      for (int64_t row = 0; row < rollout.rows(); ++row) {
        const int64_t state = rollout.row_state[row];
        const int64_t from = rollout.state_step[state] + 1;
        const bool mixes = continuation > 0 && continuation < 10 - from;
        const auto times =
            mixes ? path->times_from(grid[from], continuation)
                  : std::vector<double>(grid.begin() + from, grid.end());
        const auto prompt = torch::tensor({rollout.state_prompt[state]});
        const auto expected =
            cost_of_way(here, rollout.x_next.narrow(0, row, 1), times, mixes,
                        plan.noise, request.conditions.select(prompt));
        EXPECT_TRUE(at::allclose(rollout.cost[row], expected[0], 1e-4, 1e-6))
            << name_of(*path) << " " << continuation << " " << row;
      }
      EXPECT_EQ(rollout.reference_evaluations,
                2 * cost_evaluations_per_root(plan));
      EXPECT_TRUE(rollout.reference.states.empty());
      // The last branches lead to the last step, which draws no noise.
      EXPECT_EQ(rollout.cost[-1].abs().max().item<double>(), 0);
    }
  }
}

TEST(RunningCost, BehindAWindowIsThatOfTheOde) {
  for (const auto& path : both_paths()) {
    for (const double share : {1.0, 0.5}) {
      Paying here(path);
      auto knobs = paths_alone();
      knobs.window = {.size = 2, .start = 1, .continuation = share};
      const auto plan = soft_plan(*path, knobs, 9);
      const auto request = request_for(1, 2);
      const auto rollout = here.draw(plan, request);
      const auto grid = path->times(9);
      ASSERT_EQ(rollout.rows(), 4);
      // Steps 1 and 2 draw noise, of the second one alone the way is the ODE's.
      const bool hurries = share < 1;
      const auto times =
          hurries ? path->times_from(grid[3], 3)
                  : std::vector<double>(grid.begin() + 3, grid.end());
      for (const int64_t row : {1, 3}) {
        const auto expected =
            cost_of_way(here, rollout.x_next.narrow(0, row, 1), times, hurries,
                        plan.noise, request.conditions);
        EXPECT_TRUE(at::allclose(rollout.cost[row], expected[0], 1e-4, 1e-6))
            << name_of(*path) << " " << share << " " << row;
        const auto own = half_w_squared(rollout.transitions[2]) *
                         here.apart(rollout.x.narrow(0, row, 1), grid[2],
                                    request.conditions);
        EXPECT_TRUE(at::allclose(rollout.cost[row - 1], expected[0] + own[0],
                                 1e-4, 1e-6));
      }
      EXPECT_EQ(rollout.reference_evaluations,
                2 * cost_evaluations_per_root(plan));
    }
  }
}

TEST(RunningCost, DoesNotDependOnTheParts) {
  EstimatorKnobs branches;
  branches.branches = {2, 0, 3, 1};
  for (const auto& path : both_paths()) {
    for (const auto& knobs : {paths_alone(), a_tree(), branches}) {
      for (const auto sharing : {Sharing::all, Sharing::none}) {
        Paying here(path);
        auto plan = soft_plan(*path, knobs, 6);
        plan.sharing = sharing;
        const auto request = request_for(3, 2);
        const auto whole = here.draw(plan, request);
        auto parts = make_room(*path, plan, request);
        for (const auto& part : {PromptRange{1, 2}, PromptRange{0, 1}}) {
          draw(here.policy, *path, plan, request, part, parts, {}, here.cost());
        }
        EXPECT_TRUE(at::equal(whole.cost, parts.cost));
        EXPECT_TRUE(at::equal(whole.reference.y, parts.reference.y));
        EXPECT_EQ(whole.reference.states, parts.reference.states);
        EXPECT_EQ(whole.reference_evaluations, parts.reference_evaluations);
      }
    }
  }
}

TEST(RunningCost, HardReturnsDrawTheSameAndAskNobody) {
  for (const auto& path : both_paths()) {
    Paying here(path);
    const auto request = request_for(2, 1);
    const auto soft = here.draw(soft_plan(*path, paths_alone(), 6), request);
    const int64_t asked = here.reference.rows;
    const auto plan = plan_of(*path, paths_alone(), 6);
    const auto hard = here.draw(plan, request);
    EXPECT_EQ(here.reference.rows, asked);
    EXPECT_FALSE(hard.cost.defined());
    EXPECT_EQ(cost_evaluations_per_root(plan), 0);
    expect_equal(soft, hard);
    expect_parts(error_of([&] {
                   roll_out(here.policy, *path,
                            soft_plan(*path, paths_alone(), 6), request);
                 }),
                 {"[roll_out]", "soft returns", "reference"});
  }
}

TEST(RunningCost, NoOneWhoIsTheReferencePays) {
  const auto path = flow_path();
  GaussianDenoiser policy(path), reference(path);
  const auto plan = soft_plan(*path, a_tree(), 6);
  const auto rollout = roll_out(policy, *path, plan, request_for(1, 2), {},
                                {&reference, half_w_squared});
  EXPECT_EQ(rollout.cost.abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace rsm
