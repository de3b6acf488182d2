// What the rows and states of an update weigh, and the terms made of them.

#include <gtest/gtest.h>

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/testing.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using Mask = RegularisationKnobs::Mask;

/** Two roots with K = (2, 3, 0) of 4 steps, the anchor stored. */
Rollout branched() {
  Rollout rollout;
  rollout.transitions = flow_sde_transitions(FlowMatchSchedule{}.times(4), 0.7);
  for (int64_t root = 0; root < 2; ++root) {
    for (int64_t step = 0; step < 3; ++step) {
      const std::vector<int64_t> k = {2, 3, 0};
      for (int64_t b = 0; b < k[step]; ++b) {
        rollout.row_state.push_back(rollout.states());
        rollout.row_image.push_back(rollout.images());
        rollout.image_prompt.push_back(0);
      }
      rollout.state_root.push_back(root);
      rollout.state_prompt.push_back(0);
      rollout.state_step.push_back(step);
    }
  }
  rollout.x = counted_normal(1, {6, 1, 2, 2});
  rollout.x_next = counted_normal(2, {10, 1, 2, 2});
  return rollout;
}

Method branched_method() {
  Method method;
  method.estimator.branches = {2, 3, 0, 0};
  method.regularisation.beta = 0.01;
  method.regularisation.anchors = true;
  return method;
}

const std::vector<int64_t> kAll = {0, 1, 2, 3, 4, 5};

/** Weight of a state's KL: k_ref without beta w^2 / 2. */
double kl_weight(const Rollout& rollout, const UpdateWeights& weights,
                 int64_t state) {
  const double w = rollout.transitions[rollout.state_step[state]].w();
  return weights.k_ref[state] / (0.01 * 0.5 * w * w);
}

TEST(UpdateWeights, StepsWeighTheSameWhateverTheirBranches) {
  const auto rollout = branched();
  const auto weights = update_weights(branched_method(), rollout,
                                      given(std::vector<float>(10, 1)), kAll);
  EXPECT_EQ(weights.rows, 10);
  EXPECT_EQ(weights.live_rows, 10);
  EXPECT_EQ(weights.anchors, 2);
  // Kbar = 2.5, so kappa = (5/4, 5/6).
  EXPECT_DOUBLE_EQ(weights.row[0] + weights.row[1], 0.25);
  EXPECT_DOUBLE_EQ(weights.row[2] + weights.row[3] + weights.row[4], 0.25);
  // An anchor weighs like a state with rows.
  for (const int64_t state : kAll) {
    EXPECT_NEAR(kl_weight(rollout, weights, state), 0.25, 1e-15);
  }
}

TEST(UpdateWeights, UnsharedStatesWeighWhatTheirRowsDo) {
  auto apart = branched();
  apart.shared = false;
  std::vector<int64_t> states;
  const auto shared = branched();
  apart.row_state.clear();
  apart.state_root.clear();
  apart.state_prompt.clear();
  apart.state_step.clear();
  for (int64_t s = 0; s < shared.states(); ++s) {
    const auto rows =
        std::count(shared.row_state.begin(), shared.row_state.end(), s);
    for (int64_t copy = 0; copy < std::max<int64_t>(rows, 1); ++copy) {
      if (rows > 0) apart.row_state.push_back(apart.states());
      states.push_back(apart.states());
      apart.state_root.push_back(shared.state_root[s]);
      apart.state_prompt.push_back(0);
      apart.state_step.push_back(shared.state_step[s]);
    }
  }
  const auto advantages = given(std::vector<float>(10, 1));
  const auto together =
      update_weights(branched_method(), shared, advantages, kAll);
  const auto single =
      update_weights(branched_method(), apart, advantages, states);
  EXPECT_EQ(single.row, together.row);
  for (int64_t step = 0; step < 3; ++step) {
    double a = 0, b = 0;
    for (const int64_t s : kAll) {
      if (shared.state_step[s] == step) a += together.k_ref[s];
    }
    for (const int64_t s : states) {
      if (apart.state_step[s] == step) b += single.k_ref[s];
    }
    EXPECT_NEAR(a, b, 1e-15);
  }
}

TEST(UpdateWeights, DeadRowsKeepTheirPullToTheReference) {
  const auto rollout = branched();
  const auto advantages = given({0, 0, 1, -1, 2, 1, -1, 0, 0, 0});
  auto method = branched_method();
  const auto weights = update_weights(method, rollout, advantages, kAll);
  EXPECT_EQ(weights.live_rows, 5);
  EXPECT_EQ(weights.row[0], 0);
  EXPECT_DOUBLE_EQ(weights.row[2], 2.5 / 3 / 5);
  EXPECT_NEAR(kl_weight(rollout, weights, 0), 0.25, 1e-15);

  method.regularisation.mask = Mask::rows;
  method.as_published = true;
  const auto published = update_weights(method, rollout, advantages, kAll);
  EXPECT_EQ(published.row, weights.row);
  EXPECT_EQ(published.k_ref[0], 0);
  EXPECT_NEAR(kl_weight(rollout, published, 1), 2.5 / 5, 1e-15);
  EXPECT_NEAR(kl_weight(rollout, published, 2), 2.5 / 2, 1e-15);
}

TEST(UpdateWeights, NothingIsMaskedWhereEveryRowIsDead) {
  const auto rollout = branched();
  auto method = branched_method();
  method.regularisation.mask = Mask::rows;
  const auto weights =
      update_weights(method, rollout, given(std::vector<float>(10, 0)), kAll);
  EXPECT_NEAR(kl_weight(rollout, weights, 0), 0.25, 1e-15);
  for (const double row : weights.row) EXPECT_EQ(row, 0);
}

TEST(UpdateWeights, ARowAtItsGroupsMeanCountsUnlessRowsAreMasked) {
  const auto rollout = branched();
  auto method = branched_method();
  auto advantages = given({1e-9, 1, 1, -1, 0, 1, -1, 1, 1, -1});
  advantages.differs[0] = false;
  advantages.alive.fill_(true);
  const auto weights = update_weights(method, rollout, advantages, kAll);
  EXPECT_EQ(weights.live_rows, 10);
  EXPECT_DOUBLE_EQ(weights.row[0], 1.25 / 10);
  EXPECT_NEAR(kl_weight(rollout, weights, 0), 0.25, 1e-15);

  method.regularisation.mask = Mask::rows;
  const auto published = update_weights(method, rollout, advantages, kAll);
  EXPECT_EQ(published.live_rows, 8);
  EXPECT_EQ(published.row[0], 0);
  EXPECT_DOUBLE_EQ(published.row[1], 1.25 / 8);
  EXPECT_NEAR(kl_weight(rollout, published, 0), 1.25 / 8, 1e-15);
}

TEST(UpdateWeights, WithoutAMaskAllRowsThatAreTrainedCount) {
  const auto rollout = branched();
  auto method = branched_method();
  method.regularisation.mask = Mask::none;
  auto advantages = given({0, 0, 1, -1, 0, 1, -1, 1, 1, 0});
  advantages.trained[9] = false;
  const auto weights = update_weights(method, rollout, advantages, kAll);
  EXPECT_EQ(weights.live_rows, 9);
  EXPECT_DOUBLE_EQ(weights.row[0], 1.25 / 9);
  EXPECT_EQ(weights.row[9], 0);
  EXPECT_NEAR(kl_weight(rollout, weights, 0), 0.25, 1e-15);
}

TEST(UpdateWeights, CountOnlyTheUpdatesStates) {
  const auto rollout = branched();
  const auto weights = update_weights(
      branched_method(), rollout, given(std::vector<float>(10, 1)), {4, 2, 0});
  EXPECT_EQ(weights.rows, 5);
  EXPECT_EQ(weights.anchors, 1);
  EXPECT_EQ(weights.k_ref[1], 0);
  EXPECT_EQ(weights.row[2], 0);
  EXPECT_DOUBLE_EQ(weights.row[0], 1.25 / 5);
  EXPECT_DOUBLE_EQ(weights.row[7], 2.5 / 3 / 5);
  EXPECT_NEAR(kl_weight(rollout, weights, 2), 0.5, 1e-15);
}

TEST(UpdateWeights, AnchorsAloneAreAveraged) {
  const auto rollout = branched();
  const auto weights = update_weights(branched_method(), rollout,
                                      given(std::vector<float>(10, 1)), {2, 5});
  EXPECT_NEAR(kl_weight(rollout, weights, 2), 0.5, 1e-15);
}

TEST(UpdateWeights, WithoutAnchorsEmptyStatesWeighNothing) {
  auto method = branched_method();
  method.regularisation.anchors = false;
  const auto weights = update_weights(method, branched(),
                                      given(std::vector<float>(10, 1)), kAll);
  EXPECT_EQ(weights.k_ref[2], 0);
  EXPECT_GT(weights.k_ref[1], 0);
}

TEST(UpdateWeights, RefuseWhatDoesNotFitTogether) {
  const auto ones = given(std::vector<float>(10, 1));
  const auto rollout = branched();
  EXPECT_THROW(update_weights(branched_method(), rollout, ones, {0, 0}), Error);
  EXPECT_THROW(update_weights(branched_method(), rollout, ones, {6}), Error);
  EXPECT_THROW(update_weights(branched_method(), rollout, given({1}), {0}),
               Error);
}

TEST(LossTerms, NoiseIsWhatLedToTheNextState) {
  const auto rollout = branched();
  const auto method = branched_method();
  const auto ones = given(std::vector<float>(10, 1));
  const auto y_old = counted_normal(3, {6, 1, 2, 2});
  const auto weights = update_weights(method, rollout, ones, kAll);
  const auto terms = loss_terms(method, rollout, outputs_of(y_old, y_old),
                                {ones, {}}, weights, {4, 2});
  ASSERT_EQ(terms.rows.state.numel(), 3);
  EXPECT_EQ(terms.rows.state.sum().item<int64_t>(), 0);
  EXPECT_TRUE(torch::equal(terms.states.y_old[1], y_old[2]));
  const auto& step = rollout.transitions[1];
  const auto x_next = step.a_x * rollout.x[4] + step.m_y * y_old[4] +
                      step.s * terms.rows.direction[2];
  // A few float32 roundings of values of order 1.
  EXPECT_TRUE(torch::allclose(x_next, rollout.x_next[9], 0, 1e-6));
}

TEST(LossTerms, RefuseStatesWhoseOutputsAreNotThere) {
  const auto rollout = branched();
  auto method = branched_method();
  const auto ones = given(std::vector<float>(10, 1));
  const auto y = counted_normal(3, {6, 1, 2, 2});
  auto outputs = outputs_of(y, y);
  outputs.reference = {y.slice(0, 0, 3), {0, 1, 3}};
  const auto terms = [&](const std::vector<int64_t>& states) {
    return loss_terms(method, rollout, outputs, {ones, {}},
                      update_weights(method, rollout, ones, kAll), states);
  };
  EXPECT_TRUE(torch::equal(terms({3, 0}).states.pulls.at(0).toward[0], y[2]));
  EXPECT_THROW(terms({0, 2}), Error);
  // Without a pull the reference is not asked for.
  method.regularisation.beta = 0;
  EXPECT_TRUE(terms({0, 2}).states.pulls.empty());
  outputs.old = {y.slice(0, 1), {1, 2, 3, 4, 5}};
  EXPECT_THROW(terms({0, 2}), Error);
}

}  // namespace
}  // namespace rsm
