#pragma once

#include <algorithm>
#include <vector>

#include "rsm/objective/problem_testing.h"

/** The published losses of whole updates. */
namespace rsm {

/** Of the counts that are not 0. */
inline double mean_branches(const std::vector<int64_t>& branches) {
  double sum = 0, count = 0;
  for (const int64_t k : branches) {
    sum += static_cast<double>(k);
    count += k > 0 ? 1 : 0;
  }
  return sum / count;
}

struct Published {
  torch::Tensor gradient;
  double policy = 0, kl = 0;
};

/** Autograd through the published weighted sums, one network output a row;
 * method.name says which loss. */
inline Published published_loss(const Method& method, const Problem& problem) {
  const auto& rollout = problem.rollout;
  const auto& knobs = method.regularisation;
  const auto& branches = method.estimator.branches;
  const double k_mean = mean_branches(branches);
  auto y = problem.y.clone().requires_grad_(true);
  double live = 0, pulled = 0, anchors = 0;
  torch::Tensor policy = torch::zeros({}, torch::kFloat64);
  torch::Tensor kl = policy.clone();
  torch::Tensor anchor_kl = policy.clone();
  torch::Tensor hold = policy.clone();  // to the old outputs
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t state = rollout.row_state[r];
    const int64_t i = rollout.state_step[state];
    const auto& step = rollout.transitions[i];
    const double kappa = k_mean / static_cast<double>(branches[i]);
    const bool alive = problem.advantages.alive[r].item<bool>();
    const bool has_advantage = problem.advantages.value[r].item<float>() != 0;
    const bool counts =
        knobs.mask == RegularisationKnobs::Mask::none ||
        (knobs.mask == RegularisationKnobs::Mask::rows ? has_advantage : alive);
    const bool keeps_kl =
        knobs.mask != RegularisationKnobs::Mask::rows || has_advantage;
    if (counts) {
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
    if (!keeps_kl) continue;
    pulled += 1;
    hold = hold + kappa * knobs.old *
                      (y[state] - problem.y_old[state]).square().mean();
    if (knobs.pull_rows) {
      kl = kl + kappa * published_kl(knobs.kl_form, step, y[state],
                                     problem.y_ref[state]);
    }
  }
  for (int64_t state = 0; state < rollout.states(); ++state) {
    const int64_t i = rollout.state_step[state];
    if (branches[i] > 0 || !knobs.anchors) continue;
    anchors += 1;
    anchor_kl = anchor_kl + published_kl(knobs.kl_form, rollout.transitions[i],
                                         y[state], problem.y_ref[state]);
  }
  policy = policy / live;
  anchors = std::max(anchors, 1.0);
  if (!knobs.pull_rows) {
    kl = anchor_kl / anchors;
  } else {
    kl = method.as_published ? kl / pulled + k_mean * anchor_kl / anchors
                             : (kl + k_mean * anchor_kl) / pulled;
  }
  kl = knobs.beta * kl + hold / pulled;
  (policy + kl).backward();
  return {y.grad(), policy.item<double>(), kl.item<double>()};
}

}  // namespace rsm
