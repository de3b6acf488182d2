#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <functional>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/estimators/regression.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/forward.h"

namespace rsm {

/** Two prompts of four samples, each noised twice; outputs of what is trained,
 * of a slower copy, of the reference and of that under guidance of its own are
 * all different. */
struct PictureProblem {
  static constexpr int64_t kPrompts = 2, kMembers = 4, kDraws = 2;
  static constexpr int64_t kRows = kPrompts * kMembers * kDraws;

  Sampled sampled;
  std::vector<int64_t> states;
  torch::Tensor y, y_old, y_ref, y_guided, y_c;  ///< [rows,C,H,W] float64
  torch::Tensor reward, t;                       ///< [rows] float64
  /** [rows] how far the predicted picture moves per unit of output: t of
   * flows, noise / signal of diffusion models. */
  torch::Tensor reach;

  explicit PictureProblem(const Path& path = FlowPath()) {
    auto& rollout = sampled.rollout;
    std::vector<double> reaches;
    rollout.prompts.resize(kPrompts);
    rollout.transitions = {forward_row(path, 0.75), forward_row(path, 0.25)};
    for (int64_t image = 0; image < kPrompts * kMembers; ++image) {
      rollout.image_prompt.push_back(image / kMembers);
      for (int64_t draw = 0; draw < kDraws; ++draw) {
        states.push_back(rollout.states());
        rollout.row_state.push_back(rollout.states());
        rollout.row_image.push_back(image);
        rollout.state_root.push_back(image);
        rollout.state_prompt.push_back(image / kMembers);
        rollout.state_step.push_back(draw);
        const auto number = static_cast<double>(image * kDraws + draw);
        const double time = path.nearest_time(0.1 + 0.05 * number);
        rollout.own.push_back(forward_row(path, time));
        reaches.push_back(std::abs(path.prediction(time).y));
      }
    }
    y_old = random_outputs(1);
    y = y_old + 0.1 * random_outputs(2);
    y_ref = y_old + 0.2 * random_outputs(3);
    y_guided = y_ref + 0.3 * random_outputs(6);
    y_c = random_outputs(4);
    rollout.x = random_outputs(5);
    rollout.x_next = y_c;
    rollout.y = torch::empty({0, 2, 3, 4}, torch::kFloat64);
    const auto rewards =
        torch::tensor({0.3, -0.2, 0.9, 0.1, 1.4, 0.2, 0.7, 0.0});
    sampled.scores.value = rewards.to(torch::kFloat32);
    reward = rewards.to(torch::kFloat64).repeat_interleave(kDraws);
    t = times_of(rollout, states).to(torch::kFloat64);
    reach = torch::tensor(reaches, torch::kFloat64);
  }

  static torch::Tensor random_outputs(uint64_t seed) {
    return counted_normal(seed, {kRows, 2, 3, 4}).to(torch::kFloat64);
  }
  /** [rows] of each row its prompt's. */
  static torch::Tensor group_mean(const torch::Tensor& values) {
    return values.view({kPrompts, -1})
        .mean(1)
        .repeat_interleave(kMembers * kDraws);
  }
  static torch::Tensor group_std(const torch::Tensor& values) {
    return values.view({kPrompts, -1})
        .std(1, /*unbiased=*/false)
        .repeat_interleave(kMembers * kDraws);
  }
  /** The same over a prompt's rows of one draw. */
  static torch::Tensor draw_mean(const torch::Tensor& values) {
    return values.view({kPrompts, kMembers, kDraws})
        .mean(1, /*keepdim=*/true)
        .expand({kPrompts, kMembers, kDraws})
        .flatten();
  }
  torch::Tensor centred() const { return reward - group_mean(reward); }
  /** Over the spread of a prompt, or of all. */
  torch::Tensor by_group() const {
    return centred() / (group_std(reward) + 1e-4);
  }
  torch::Tensor by_all() const {
    return centred() / (reward.std(/*unbiased=*/false) + 1e-4);
  }
};

inline torch::Tensor mean_of(const torch::Tensor& values) {
  return values.flatten(1).mean(1);
}

/** [rows] of (v - v_c)^2 */
inline torch::Tensor error(const PictureProblem& p, const torch::Tensor& v) {
  return mean_of((v - p.y_c).square());
}

/** [rows] of outputs, written as a paper writes it. */
using PublishedLoss =
    std::function<torch::Tensor(const PictureProblem&, const torch::Tensor&)>;

inline torch::Tensor our_gradient(const Method& method,
                                  const PictureProblem& p) {
  Regression estimator(method, 1);
  auto guidance = estimator.guide(p.sampled, 0);
  Outputs outputs = {{p.y_old, p.states}, {p.y_ref, p.states}, {p.y, p.states}};
  if (method.regularisation.guides_reference()) {
    outputs.guided_reference = {p.y_guided, p.states};
  }
  estimator.weigh(p.sampled, outputs, guidance);
  const auto weights =
      update_weights(method, p.sampled.rollout, guidance.advantages, p.states);
  auto terms = loss_terms(method, p.sampled.rollout, outputs, guidance, weights,
                          p.states);
  estimator.at_output(p.y, terms);
  return rsm_loss(p.y, terms.states, terms.rows).gradient;
}

/** Of a method against autograd's of the mean of what is published. */
inline void expect_gradient(const Method& method, const PictureProblem& p,
                            const PublishedLoss& published) {
  auto y = p.y.clone().requires_grad_();
  const auto loss = published(p, y).sum() / PictureProblem::kRows;
  const auto expected = torch::autograd::grad({loss}, {y})[0];
  const auto gradient = our_gradient(method, p);
  ASSERT_GT(expected.norm().item<double>(), 0);
  EXPECT_LT(((gradient - expected).norm() / expected.norm()).item<double>(),
            1e-6);  // advantages are float32
}

}  // namespace rsm
