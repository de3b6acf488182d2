#include "rsm/objective/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/objective/problem_testing.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;
using KlForm = RegularisationKnobs::KlForm;

TEST(RsmLoss, ProblemsHaveEveryKindOfRow) {
  for (const auto& method : every_form()) {
    if (method.regularisation.importance == Importance::none) continue;
    for (const auto& [sampler, steps] : every_sampler()) {
      SCOPED_TRACE(label(method) + " on " + sampler);
      const auto problem = random_problem(method, steps);
      const auto clipped = loss_of(method, problem).rows.clipped;
      const auto live = problem.advantages.alive;
      const auto up = problem.advantages.value > 0;
      const auto down = problem.advantages.value < 0;
      EXPECT_GT((clipped & up).sum().item<int64_t>(), 0);
      EXPECT_GT((clipped & down).sum().item<int64_t>(), 0);
      EXPECT_GT((~clipped & up).sum().item<int64_t>(), 0);
      EXPECT_GT((~clipped & down).sum().item<int64_t>(), 0);
      EXPECT_EQ((~live).sum().item<int64_t>(), 7);
      EXPECT_EQ((clipped & ~live).sum().item<int64_t>(), 0);
    }
  }
}

TEST(RsmLoss, GradientIsTheScalarsSlope) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    auto problem = random_problem(method);
    const auto result = loss_of(method, problem);
    const auto y = problem.y;
    const auto direction = random_states(9, y.size(0));
    constexpr double kStep = 1e-6;
    problem.y = y + kStep * direction;
    const double above = loss_of(method, problem).loss();
    problem.y = y - kStep * direction;
    const double below = loss_of(method, problem).loss();
    const double slope = (result.gradient * direction).sum().item<double>();
    // Central difference: float64 rounding of a loss of order 1 over 2e-6.
    EXPECT_NEAR((above - below) / (2 * kStep), slope,
                1e-5 * std::abs(slope) + 1e-9);
  }
}

TEST(RsmLoss, SharedStatesGiveTheGradientOfOnePassARow) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    const auto problem = random_problem(method);
    auto terms = terms_of(method, problem, problem.states);
    terms.states.pulls.clear();
    const auto shared = rsm_loss(problem.y, terms.states, terms.rows);
    const auto state = terms.rows.state;
    auto rows = terms.rows;
    rows.state = torch::arange(state.size(0));
    LossStates copies;
    copies.y_old = terms.states.y_old.index_select(0, state);
    const auto single =
        rsm_loss(problem.y.index_select(0, state), copies, rows);
    const auto summed = torch::zeros_like(shared.gradient)
                            .index_add_(0, state, single.gradient);
    EXPECT_LT(relative(summed, shared.gradient), 1e-12);
    EXPECT_DOUBLE_EQ(single.policy, shared.policy);
  }
}

TEST(RsmLoss, MicroBatchesOnlyAddUp) {
  const auto method =
      method_of("fairclip2", Importance::matching, KlForm::exact);
  const auto problem = random_problem(method);
  const auto whole = loss_of(method, problem);
  auto gradient = torch::zeros_like(whole.gradient);
  double loss = 0;
  // 5 and 7 are anchors: the last part has no rows.
  for (const std::vector<int64_t>& part : std::vector<std::vector<int64_t>>{
           {26, 0, 3},
           {1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15},
           {25, 24, 23, 22, 21, 20, 19, 18, 17, 16},
           {7, 5}}) {
    const auto terms = terms_of(method, problem, part);
    const auto index = torch::tensor(part, torch::kInt64);
    const auto result =
        rsm_loss(problem.y.index_select(0, index), terms.states, terms.rows);
    gradient.index_add_(0, index, result.gradient);
    loss += result.loss();
  }
  EXPECT_LT(relative(gradient, whole.gradient), 1e-14);
  EXPECT_NEAR(loss, whole.loss(), 1e-14);
}

TEST(RsmLoss, PullsOnlyAddUp) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    const auto problem = random_problem(method);
    const auto one = terms_of(method, problem, problem.states);
    auto none = one, three = one;
    none.states.pulls.clear();
    const auto bare = rsm_loss(problem.y, none.states, none.rows);
    const auto with = rsm_loss(problem.y, one.states, one.rows);
    // Toward the old outputs, and the reference twice.
    const auto& pull = one.states.pulls.at(0);
    three.states.pulls = {pull, {one.states.y_old, pull.k}, pull};
    const auto more = rsm_loss(problem.y, three.states, three.rows);
    const auto apart = problem.y - one.states.y_old;
    const auto old = 2.0 / 24 * pull.k.view({-1, 1, 1, 1}) * apart;
    EXPECT_LT(relative(more.gradient - bare.gradient,
                       2 * (with.gradient - bare.gradient) + old),
              1e-12);
    EXPECT_NEAR(
        more.pull,
        2 * with.pull +
            (pull.k * apart.square().flatten(1).mean(1)).sum().item<double>(),
        1e-14);
  }
}

TEST(RsmLoss, StartsAtGuidanceAloneWithRatioOne) {
  for (auto method : every_form()) {
    SCOPED_TRACE(label(method));
    method.regularisation.beta = 0;
    auto problem = random_problem(method);
    problem.y = problem.y_old;
    const auto terms = terms_of(method, problem, problem.states);
    const auto result = rsm_loss(problem.y, terms.states, terms.rows);
    EXPECT_TRUE(result.rows.importance.eq(1).all().item<bool>());
    EXPECT_FALSE(result.rows.clipped.any().item<bool>());
    EXPECT_TRUE(result.rows.log_ratio().eq(0).all().item<bool>());
    const auto p =
        (terms.rows.weight * terms.rows.guidance).view({-1, 1, 1, 1}) *
        terms.rows.direction;
    const auto expected = torch::zeros_like(problem.y)
                              .index_add_(0, terms.rows.state, p)
                              .mul_(-2.0 / 24);
    EXPECT_LT(relative(result.gradient, expected), 1e-14);
    EXPECT_EQ(result.pull, 0);
  }
}

TEST(RsmLoss, CentredClippingIgnoresTheBias) {
  const auto method = method_of("guard", Importance::ratio, KlForm::exact);
  const auto problem = random_problem(method);
  const auto terms = terms_of(method, problem, problem.states);
  EXPECT_TRUE(terms.rows.trust.eq(0).all().item<bool>());
  const auto rows = row_losses(problem.y, terms.states, terms.rows);
  EXPECT_TRUE(
      torch::allclose(rows.importance, (-terms.rows.exponent * rows.t2).exp()));
}

TEST(RsmLoss, OutsideCountsBothSidesInTheRatioForm) {
  const auto method = method_of("base", Importance::ratio, KlForm::exact);
  const auto problem = random_problem(method);
  const auto rows = loss_of(method, problem).rows;
  const auto left =
      (rows.importance - 1).abs() > method.regularisation.clip_range;
  EXPECT_TRUE(torch::equal(rows.outside, left));
  // Clipped is the favourable side only.
  const auto up = rows.importance > 1;
  const auto good = problem.advantages.value > 0;
  const auto bad = problem.advantages.value < 0;
  EXPECT_TRUE(torch::equal(rows.clipped, left & ((good & up) | (bad & ~up))));
  EXPECT_GT((rows.outside & ~rows.clipped).sum().item<int64_t>(), 0);
}

TEST(RsmLoss, Float32FollowsFloat64) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    const auto problem = random_problem(method);
    auto single = problem;
    single.y = problem.y.to(torch::kFloat32);
    single.y_old = problem.y_old.to(torch::kFloat32);
    single.y_ref = problem.y_ref.to(torch::kFloat32);
    const auto expected = loss_of(method, problem);
    const auto actual = loss_of(method, single);
    EXPECT_EQ(actual.gradient.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(torch::equal(actual.rows.clipped, expected.rows.clipped));
    // y - y_old loses two digits of float32's seven.
    EXPECT_LT(relative(actual.gradient.to(torch::kFloat64), expected.gradient),
              1e-5);
  }
}

TEST(RsmLoss, RefusesWhatDoesNotFit) {
  const auto method = method_of("base", Importance::ratio, KlForm::exact);
  const auto problem = random_problem(method);
  const auto good = terms_of(method, problem, problem.states);
  EXPECT_THROW(rsm_loss(problem.y.slice(0, 0, 3), good.states, good.rows),
               Error);
  EXPECT_THROW(rsm_loss(problem.y.to(torch::kHalf), good.states, good.rows),
               Error);
  EXPECT_THROW(rsm_loss(problem.y.to(torch::kFloat32), good.states, good.rows),
               Error);
  auto unreferenced = good;
  unreferenced.states.pulls.at(0).toward = torch::Tensor();
  EXPECT_THROW(rsm_loss(problem.y, unreferenced.states, unreferenced.rows),
               Error);
  auto short_rows = good;
  short_rows.rows.weight = short_rows.rows.weight.slice(0, 1);
  EXPECT_THROW(rsm_loss(problem.y, short_rows.states, short_rows.rows), Error);
}

}  // namespace
}  // namespace rsm
