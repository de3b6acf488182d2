// Gradients through real networks, against autograd of the whole chain.

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "rsm/base/testing.h"
#include "rsm/estimators/first_order.h"
#include "rsm/estimators/gradient_testing.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/unet_testing.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

constexpr int64_t kSteps = 3;
const std::vector<int64_t> kLatent = {3, 4, 4};

/** Trajectories of a small random UNet; the reference is another one. */
struct Chain {
  Chain(const std::string& entry, torch::Device device)
      : method(find_method(entry)),
        policy_network(network_of(1, device)),
        reference_network(network_of(2, device)),
        policy(policy_network, Condition(), /*scale=*/1, {.tile = 2}),
        reference(reference_network, Condition(), /*scale=*/1, {.tile = 2}) {
    auto& knobs = method.estimator.gradient;
    knobs.stochastic = true;
    knobs.times = knobs.early_times = 0;
    knobs.prompt_dropout = 0;
    knobs.reject_above = 1;
    auto request = request_for(2, 1);
    request.latent_shape = kLatent;
    request.conditions = {counted_normal(3, {2, 2, 10}), {}};
    const auto plan = make_plan(
        method, kSteps,
        {.kind = SamplerNoise::usual,
         .level = usual_level(SamplerNoise::usual, Family::diffusion)});
    sampled.rollout = roll_out(policy, *path, plan, request);
    sampled.conditions = request.conditions;
    sampled.scores.value = at::zeros({sampled.rollout.images()});
  }

  static Network network_of(uint64_t seed, torch::Device device) {
    auto network = random_unet();
    fill(*network, 100 * seed, 0.1, 0.5);
    network->to(device);
    return network.ptr();
  }
  const Rollout& rollout() const { return sampled.rollout; }
  Guidance guide() {
    const GradientParts parts = {reward, decoder, *path, policy, reference};
    return FirstOrder(method, 1, parts).guide(sampled, 0);
  }

  /** What a network says of x [B,C,H,W] at a state, with its gradient. */
  torch::Tensor output(const Network& network, const torch::Tensor& x,
                       int64_t state) const {
    const auto rows = at::full({x.size(0)}, rollout().state_prompt[state],
                               at::TensorOptions(at::kLong));
    const auto device = policy_network->parameters()[0].device();
    return network
        ->predict(x.to(device),
                  at::full({x.size(0)}, rollout().transition_of(state).t,
                           at::TensorOptions(at::kFloat).device(device)),
                  sampled.conditions.select(rows).to(device))
        .to(at::kCPU);
  }
  /** Where a state's step led, [1,C,H,W]. */
  torch::Tensor after(int64_t state) const {
    return state % kSteps + 1 < kSteps
               ? rollout().x.narrow(0, state + 1, 1)
               : rollout().latents.narrow(0, state / kSteps, 1);
  }
  torch::Tensor reward_of(const torch::Tensor& latents) const {
    return reward.value_of(decoder.pictures(latents), {}).sum();
  }

  PathPointer path = diffusion_path();
  Method method;
  Network policy_network, reference_network;
  GuidedNetwork policy, reference;
  CurvedReward reward;
  SquashedPixels decoder;
  Sampled sampled;
};

class GradientChainOn : public OnDevice {
 protected:
  /** Sums in float32, in another order. */
  double tolerance() const { return device().is_cpu() ? 1e-4 : 1e-3; }
};
RSM_ON_EVERY_DEVICE(GradientChainOn);

/** [n,n] dy/dx of a network at a state, row by row in one batch. */
torch::Tensor jacobian(const Chain& here, const Network& network,
                       int64_t state) {
  const int64_t n = here.rollout().x[0].numel();
  const auto x = here.rollout()
                     .x.narrow(0, state, 1)
                     .repeat({n, 1, 1, 1})
                     .requires_grad_(true);
  const auto y = here.output(network, x, state);
  const auto each = at::eye(n).view_as(y);
  return torch::autograd::grad({y}, {x}, {each})[0].view({n, n});
}

/** a_k = (a_x I + m_y J_ref(x_k))^T a_k+1, where x_k are the policy's. */
TEST_P(GradientChainOn, CarriesBackByTheReferencesTransposedJacobians) {
  Chain here("adjoint-matching", device());
  const auto guidance = here.guide();
  const int64_t n = here.rollout().x[0].numel();
  for (int64_t root = 0; root < here.rollout().images(); ++root) {
    const auto sample =
        here.rollout().latents.narrow(0, root, 1).clone().requires_grad_(true);
    auto adjoint =
        torch::autograd::grad({here.reward_of(sample)}, {sample})[0].view({n});
    for (int64_t step = kSteps - 1; step >= 0; --step) {
      const int64_t state = root * kSteps + step;
      const auto& by = here.rollout().transitions[step];
      const auto slope = jacobian(here, here.reference_network, state);
      EXPECT_GT(relative(slope.t(), slope), 0.1);
      EXPECT_GT(relative(jacobian(here, here.policy_network, state), slope),
                0.1);
      adjoint = by.a_x * adjoint + by.m_y * slope.t().mv(adjoint);
      const auto got =
          guidance.directions.value[guidance.directions.of_row[state]];
      EXPECT_LT(relative(got.view({n}), adjoint), tolerance()) << state;
    }
  }
}

/** The rewards at the end of paths whose last so many steps are taken again
 * with the noise that they had: a function of the policy's weights. */
torch::Tensor rewards_after(const Chain& here, int64_t steps) {
  auto sum = torch::zeros({});
  for (int64_t root = 0; root < here.rollout().images(); ++root) {
    const int64_t first = (root + 1) * kSteps - steps;
    auto x = here.rollout().x.narrow(0, first, 1);
    for (int64_t state = first; state < first + steps; ++state) {
      const auto& by = here.rollout().transition_of(state);
      const auto noise = here.after(state) -
                         step_mean(by, here.rollout().x.narrow(0, state, 1),
                                   here.rollout().y.narrow(0, state, 1));
      x = step_mean(by, x, here.output(here.policy_network, x, state)) + noise;
    }
    sum = sum + here.reward_of(x);
  }
  return sum;
}

/** What training takes: guidance -> loss -> the network's gradients. */
std::vector<torch::Tensor> gradients_of_loss(Chain& here) {
  const auto guidance = here.guide();
  const auto& rollout = here.rollout();
  const auto& states = guidance.trained;
  const auto weights =
      update_weights(here.method, rollout, guidance.advantages, states);
  const auto old = rollout.y.index_select(0, torch::tensor(states, at::kLong));
  const Outputs outputs = {{old, states}, {old, states}};
  const auto terms =
      loss_terms(here.method, rollout, outputs, guidance, weights, states);
  const auto of_outputs = rsm_loss(old, terms.states, terms.rows).gradient;
  return here.policy.gradients(
      rollout.x.index_select(0, torch::tensor(states, at::kLong)),
      times_of(rollout, states), here.sampled.conditions_of(states),
      here.policy_network->parameters(),
      [&](int64_t first, int64_t count, const torch::Tensor& y) {
        return of_outputs.slice(0, first, first + count).to(y.device());
      });
}

/** DRaFT's loss is minus the reward (arXiv 2309.17400): its gradient in every
 * weight is that of the reward at the end of the last K steps, whose noise is
 * held; the paths' K states share a mean. */
TEST_P(GradientChainOn, OfTheRewardItselfIsItsDerivativeInEveryWeight) {
  for (const int64_t steps : {1, 2, 3}) {
    Chain here("draft-k", device());
    here.method.estimator.gradient.late_steps = steps;
    const auto rows = static_cast<double>(steps * here.rollout().images());
    const auto got = gradients_of_loss(here);
    const auto expected = torch::autograd::grad(
        {rewards_after(here, steps)}, here.policy_network->parameters());
    StateDict found, wanted;
    size_t i = 0;
    for (const auto& item : here.policy_network->named_parameters()) {
      found[item.key()] = -rows * got[i];
      wanted["grad." + item.key()] = expected[i++];
    }
    const auto [name, error] = worst_gradient(found, wanted);
    EXPECT_LT(error, tolerance()) << name << " of " << steps << " steps";
  }
}

/** The same without autograd: all weights move along a random direction. */
TEST_P(GradientChainOn, OfTheRewardItselfIsThatOfFiniteDifferences) {
  constexpr int64_t kLast = 2;
  constexpr double kStep = 1e-3;
  Chain here("draft-k", device());
  here.method.estimator.gradient.late_steps = kLast;
  const auto rows = static_cast<double>(kLast * here.rollout().images());
  const auto gradients = gradients_of_loss(here);
  auto parameters = here.policy_network->parameters();
  double slope = 0;
  std::vector<torch::Tensor> along;
  for (size_t i = 0; i < parameters.size(); ++i) {
    along.push_back(
        test_normal(500 + i, parameters[i].sizes()).to(parameters[i].device()));
    slope -= rows * (gradients[i] * along[i]).sum().item<double>();
  }
  const torch::NoGradGuard no_grad;
  const auto moved_by = [&](double by) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].add_(along[i], by);
    }
    return rewards_after(here, kLast).item<double>();
  };
  const double above = moved_by(kStep), below = moved_by(-2 * kStep);
  const double measured = (above - below) / (2 * kStep);
  EXPECT_NEAR(slope, measured, 0.02 * std::abs(measured));
}

}  // namespace
}  // namespace rsm
