#pragma once

#include <torch/types.h>

#include <cmath>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/rollouts/gaussian_testing.h"
#include "rsm/rollouts/plan.h"

/** Random trajectories to ask for the loss of; for tests alone. */
namespace rsm {

constexpr int64_t kRoots = 2;
const std::vector<int64_t> kLatent = {2, 3, 3};

/** Trajectories whose numbers are random: one float64 row a state. */
struct Trajectories {
  Trajectories(const Method& from, const Path& path, int64_t steps)
      : method(from) {
    // Of a size that float64 compares well.
    method.strength.scale = 1.5;
    StepNoise noise;
    noise.level = usual_level(noise.kind, path.family());
    const auto plan = make_plan(method, steps, noise);
    const Prompts prompts(kRoots);
    static_cast<RolloutIndex&>(rollout) =
        lay_out(plan, plan.transitions(path), prompts, 1);
    const int64_t states = rollout.states();
    rollout.x = random(states, 1);
    y = random(states, 2);
    outputs.old = {random(states, 3), all_states(rollout)};
    outputs.reference = {random(states, 4), all_states(rollout)};
    auto& directions = guidance.directions;
    directions.value = random(states, 5);
    std::vector<float> value;
    std::vector<uint8_t> alive;
    for (int64_t s = 0; s < states; ++s) {
      directions.of_row.push_back(states - 1 - s);
      const auto left = static_cast<double>(steps - 1 - s % steps);
      value.push_back(static_cast<float>(
          std::pow(method.estimator.gradient.discount, left) *
          (method.estimator.gradient.of_sum ? elements() / 2 : 1)));
      alive.push_back(!method.estimator.gradient.positive_only || s % 3 != 1);
    }
    if (method.estimator.gradient.value.kind != ValueKnobs::Kind::none) {
      add_value(steps);
    }
    guidance.advantages.value = torch::tensor(value);
    guidance.advantages.alive = torch::tensor(alive, at::kByte).to(at::kBool);
  }

  static torch::Tensor random(int64_t count, uint64_t seed) {
    auto shape = kLatent;
    shape.insert(shape.begin(), count);
    return counted_normal(seed, shape).to(at::kDouble);
  }
  /** A value network's outputs, and as they move the reference's; none at the
   * last step of detailed balance. */
  void add_value(int64_t steps) {
    g = random(rollout.states(), 6);
    guidance.shift = {g.clone(), all_states(rollout)};
    if (method.estimator.gradient.value.law == ValueKnobs::Law::consistency) {
      return;
    }
    for (int64_t s = 0; s < rollout.states(); ++s) {
      const auto& step = rollout.transition_of(s);
      if (s % steps == steps - 1) g[s].zero_();
      guidance.shift.y[s].copy_(g[s] * step.s * step.s / step.m_y);
    }
  }
  double elements() const { return static_cast<double>(rollout.x[0].numel()); }
  torch::Tensor gradient_of(int64_t state) const {
    return guidance.directions.value[guidance.directions.of_row[state]];
  }
  torch::Tensor value_of(int64_t state) const {
    return g.defined() ? g[state] : at::zeros(kLatent, at::kDouble);
  }
  bool counts(int64_t state) const {
    return guidance.advantages.alive[state].item<bool>();
  }

  torch::Tensor loss_gradient() const {
    const auto all = all_states(rollout);
    const auto weights =
        update_weights(method, rollout, guidance.advantages, all);
    const auto terms =
        loss_terms(method, rollout, outputs, guidance, weights, all);
    return rsm_loss(y, terms.states, terms.rows).gradient;
  }

  Method method;
  Rollout rollout;
  Outputs outputs;
  Guidance guidance;
  torch::Tensor y, g;
};

/** Steps that a method's trajectories take. */
inline Transitions steps_of(const Method& method, const Path& path,
                            int64_t steps) {
  StepNoise noise;
  noise.level = usual_level(noise.kind, path.family());
  return make_plan(method, steps, noise).transitions(path);
}

}  // namespace rsm
