// What a state's slope adds to its rows, against autograd.

#include <gtest/gtest.h>

#include "rsm/objective/problem_testing.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;

/** A problem whose rows have slopes of the size of noise. */
struct Sloped {
  explicit Sloped(const Method& its_method)
      : method(its_method), problem(random_problem(method)) {
    weights = update_weights(method, problem.rollout, problem.advantages,
                             problem.states);
    slope.states = states_with_rows(problem.rollout);
    slope.y = random_states(8, std::ssize(slope.states));
  }

  LossTerms terms(bool with_slope) const {
    Guidance guidance = {problem.advantages, {}};
    if (with_slope) guidance.slope = slope;
    return loss_terms(method, problem.rollout,
                      outputs_of(problem.y_old, problem.y_ref), guidance,
                      weights, problem.states);
  }
  torch::Tensor gradient(bool with_slope, const torch::Tensor& y) const {
    const auto all = terms(with_slope);
    return rsm_loss(y, all.states, all.rows).gradient;
  }

  /** What rows of advantage 1 whose noise is the slope would lose at y. */
  torch::Tensor linear_loss(const torch::Tensor& y) const {
    auto sum = torch::zeros({}, at::kDouble);
    for (size_t i = 0; i < slope.states.size(); ++i) {
      const int64_t state = slope.states[i];
      const auto& step = problem.rollout.transition_of(state);
      const double g = strength(method.strength, step);
      const auto along =
          ((y[state] - problem.y_old[state]) * slope.y[static_cast<int64_t>(i)])
              .mean();
      const auto [first, last] = rows_of(problem.rollout, state);
      for (int64_t r = first; r < last; ++r) {
        sum = sum - weights.row[r] * g * step.m_y / step.s * along;
      }
    }
    return sum;
  }

  Method method;
  Problem problem;
  UpdateWeights weights;
  StateOutputs slope;
};

// Sums of float64 in another order.
constexpr double kSumRounding = 1e-12;

TEST(Slope, PullsAsEveryRowOfItsStateWould) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    const Sloped here(method);
    // Nothing is clipped where an update begins, and REINFORCE nowhere.
    const bool clips = method.regularisation.importance != Importance::none;
    const auto at = clips ? here.problem.y_old : here.problem.y;
    auto y = at.clone().requires_grad_(true);
    here.linear_loss(y).backward();
    const auto added = here.gradient(true, at) - here.gradient(false, at);
    EXPECT_LT(relative(added, y.grad()), kSumRounding);
  }
}

TEST(Slope, IsHeldByTheClipRangeOnItsOwnSideAlone) {
  for (const auto& method : every_form()) {
    if (method.regularisation.importance == Importance::none) continue;
    SCOPED_TRACE(label(method));
    const Sloped here(method);
    const auto added = [&](double along) {
      auto y = here.problem.y_old.clone();
      const auto states = torch::tensor(here.slope.states, at::kLong);
      // m_y is below 0: this is the way that a slope leads.
      y.index_add_(0, states, -along * here.slope.y);
      return (here.gradient(true, y) - here.gradient(false, y))
          .norm()
          .item<double>();
    };
    EXPECT_EQ(added(0.1), 0);
    EXPECT_GT(added(-0.1), 0);
  }
}

TEST(Slope, StandsBehindTheRowsAndHasNoTrust) {
  const Sloped here(every_form().front());
  const auto plain = here.terms(false).rows, with = here.terms(true).rows;
  const int64_t rows = plain.state.size(0);
  EXPECT_EQ(rows, here.problem.rollout.rows());
  EXPECT_GT(with.state.size(0), rows);
  EXPECT_TRUE(with.direction.slice(0, 0, rows).equal(plain.direction));
  EXPECT_EQ(with.trust.slice(0, rows).abs().max().item<double>(), 0);
  // Dead groups' rows weigh nothing, and their states' slopes are left out.
  EXPECT_LT(with.state.size(0) - rows, std::ssize(here.slope.states));
  EXPECT_GT(with.weight.slice(0, rows).min().item<double>(), 0);
}

}  // namespace
}  // namespace rsm
