// The one loss against the published losses by autograd.

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/objective/problem_testing.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;
using KlForm = RegularisationKnobs::KlForm;
using torch::Tensor;

struct Published {
  Tensor gradient;
  double policy = 0, kl = 0;
};

/** Autograd through the published weighted sums, one network output a row. */
Published published_loss(const Method& method, const Problem& problem) {
  const auto& rollout = problem.rollout;
  const auto& knobs = method.regularisation;
  const auto& branches = method.estimator.branches;
  const double k_mean = 23.0 / 7;  // mean of the K_i that are not 0
  auto y = problem.y.clone().requires_grad_(true);
  double live = 0, rows = 0, anchors = 0;
  Tensor policy = torch::zeros({}, torch::kFloat64);
  Tensor kl = policy.clone();
  Tensor anchor_kl = policy.clone();
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t state = rollout.row_state[r];
    const int64_t i = rollout.state_step[state];
    const auto& step = rollout.transitions[i];
    const double kappa = k_mean / static_cast<double>(branches[i]);
    const bool alive = problem.advantages.alive[r].item<bool>();
    rows += 1;
    if (alive) {
      live += 1;
      const Sample sample{step,
                          rollout.x.slice(0, state, state + 1),
                          rollout.x_next.slice(0, r, r + 1),
                          problem.y_old.slice(0, state, state + 1),
                          problem.advantages.value[r].item<double>(),
                          knobs.clip_range};
      policy =
          policy + kappa * published_row(method.name, knobs.importance, sample,
                                         y.slice(0, state, state + 1));
    }
    if (knobs.pull_rows && (alive || !method.as_published)) {
      kl = kl + kappa * published_kl(knobs.kl_form, step, y[state],
                                     problem.y_ref[state]);
    }
  }
  for (int64_t state = 0; state < rollout.states(); ++state) {
    const int64_t i = rollout.state_step[state];
    if (branches[i] > 0) continue;
    anchors += 1;
    anchor_kl = anchor_kl + published_kl(knobs.kl_form, rollout.transitions[i],
                                         y[state], problem.y_ref[state]);
  }
  policy = policy / live;
  if (!knobs.pull_rows) {
    kl = anchor_kl / anchors;
  } else {
    kl = method.as_published ? kl / live + k_mean * anchor_kl / anchors
                             : (kl + k_mean * anchor_kl) / rows;
  }
  kl = knobs.beta * kl;
  (policy + kl).backward();
  return {y.grad(), policy.item<double>(), kl.item<double>()};
}

void expect_published(const Method& method, const Transitions& steps,
                      bool same_scalar = true) {
  const auto problem = random_problem(method, steps);
  const auto result = loss_of(method, problem);
  const auto expected = published_loss(method, problem);
  // Rounding in float64; (1 + xi A) - 1 costs the ratio a few digits.
  EXPECT_LT(relative(result.gradient, expected.gradient), 1e-9);
  EXPECT_NEAR(result.kl, expected.kl, 1e-12 * expected.kl);
  if (same_scalar) {
    EXPECT_NEAR(result.policy, expected.policy,
                1e-9 * std::abs(expected.policy));
  }
}

TEST(RsmLoss, GradientEqualsEveryPublishedLossOnEverySampler) {
  for (const auto& [sampler, steps] : every_sampler()) {
    for (auto method : every_form()) {
      // How rows are weighed does not depend on the sampler.
      const bool first = &sampler == &every_sampler().front().first;
      for (const bool as_published :
           first ? std::vector<bool>{false, true} : std::vector<bool>{false}) {
        method.as_published = as_published;
        SCOPED_TRACE(cat(label(method), ", ", sampler));
        // REINFORCE's scalar differs by the old log-density, a constant.
        expect_published(method, steps,
                         method.regularisation.importance != Importance::none);
      }
    }
  }
}

TEST(RsmLoss, OnlyAnchorsArePulledWhereRowsAreNot) {
  for (const bool as_published : {false, true}) {
    auto method = method_of("even", Importance::matching, KlForm::even);
    method.regularisation.pull_rows = false;
    method.as_published = as_published;
    expect_published(method, every_sampler().back().second);
  }
}

TEST(RsmLoss, OnePlusLogRhoHasTheGradientOfMatching) {
  auto method = method_of("base", Importance::matching, KlForm::exact);
  for (const auto& [sampler, steps] : every_sampler()) {
    SCOPED_TRACE(sampler);
    const auto problem = random_problem(method, steps);
    auto logrho = method;
    logrho.name = "logrho";
    logrho.regularisation.importance = Importance::ratio;
    EXPECT_LT(relative(loss_of(method, problem).gradient,
                       published_loss(logrho, problem).gradient),
              1e-9);
  }
}

TEST(RsmLoss, CpsAsPublishedIsTwiceTheVariance) {
  const auto method = method_of("cps", Importance::ratio, KlForm::exact);
  for (const auto& [sampler, steps] : every_sampler()) {
    SCOPED_TRACE(sampler);
    expect_published(method, steps);
  }
}

}  // namespace
}  // namespace rsm
