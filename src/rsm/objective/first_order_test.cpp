// Losses of methods that follow a reward's gradient, against the published ones
// by autograd.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "rsm/objective/strength.h"
#include "rsm/objective/targets.h"
#include "rsm/objective/trajectories_testing.h"

namespace rsm {
namespace {

/** A published loss of one state, as a function of its output. */
using StateLoss = std::function<torch::Tensor(
    const Trajectories&, int64_t state, const torch::Tensor& y)>;

torch::Tensor mean_of(const Trajectories& all, const StateLoss& loss,
                      torch::Tensor y) {
  auto sum = torch::zeros({}, at::kDouble);
  for (int64_t s = 0; s < all.rollout.states(); ++s) {
    if (all.counts(s)) sum = sum + loss(all, s, y[s]);
  }
  return sum / static_cast<double>(all.rollout.states());
}

double signal_next_of(const Trajectories& all, int64_t state) {
  return all.rollout.transition_of(state).signal_next;
}

/** mu of an output. */
torch::Tensor mean_step(const Trajectories& all, int64_t state,
                        const torch::Tensor& y) {
  const auto& step = all.rollout.transition_of(state);
  return step.a_x * all.rollout.x[state] + step.m_y * y;
}

torch::Tensor apart(const Trajectories& all, int64_t state,
                    const torch::Tensor& y) {
  return mean_step(all, state, y) -
         mean_step(all, state, all.outputs.reference.y[state]);
}

torch::Tensor held(const Trajectories& all, int64_t state,
                   const torch::Tensor& y) {
  return all.method.regularisation.old *
         (y - all.outputs.old.y[state]).square().mean();
}

/** VGG-Flow's matching loss: mean (v - sg(v_ref - eta S g))^2. */
StateLoss velocity_matching(const std::function<double(double t)>& eta) {
  return [=](const Trajectories& all, int64_t state, const torch::Tensor& y) {
    const double t = all.rollout.transition_of(state).t;
    const auto target =
        all.outputs.reference.y[state] -
        eta(t) * all.method.strength.scale * all.gradient_of(state) +
        all.value_of(state);
    return (y - target).square().mean();
  };
}

/** Residual grad-DB's forward loss, k (mu - mu_ref) / s^2 against b w grad r,
 * and its unet regulariser. */
StateLoss detailed_balance(const std::function<double(double s)>& k,
                           const std::function<double(double s, double a)>& w,
                           double b) {
  return [=](const Trajectories& all, int64_t state, const torch::Tensor& y) {
    const double s = all.rollout.transition_of(state).s;
    const auto residual =
        k(s) * apart(all, state, y) / (s * s) -
        b * w(s, signal_next_of(all, state)) * all.gradient_of(state) -
        all.value_of(state);
    return residual.square().mean() + held(all, state, y);
  };
}

/** Adjoint Matching: sum over dims ((mu - mu_ref) / s + s a)^2, a = -lambda
 * grad r; a D-th of it. */
torch::Tensor adjoint_loss(const Trajectories& all, int64_t state,
                           const torch::Tensor& y) {
  const double s = all.rollout.transition_of(state).s;
  const double lambda = all.method.strength.scale / 2;
  const auto a = -lambda * all.gradient_of(state);
  return (apart(all, state, y) / s + s * a).square().sum() / all.elements();
}

/** SQDF: -gamma^k r(x') + alpha mean (mu - mu_ref)^2 / s^2, of a reward that is
 * linear in x' = mu + s e; alpha 2. */
torch::Tensor soft_q_loss(const Trajectories& all, int64_t state,
                          const torch::Tensor& y) {
  const double s = all.rollout.transition_of(state).s;
  const auto steps = std::ssize(all.rollout.transitions);
  const double left = static_cast<double>(steps - 1 - state % steps);
  const auto reward = (all.gradient_of(state) * mean_step(all, state, y)).sum();
  return -all.method.strength.scale / 2 * std::pow(0.9, left) * reward +
         2 * apart(all, state, y).square().mean() / (s * s);
}

/** DRaFT: minus a reward that is linear in x'. */
torch::Tensor reward_loss(const Trajectories& all, int64_t state,
                          const torch::Tensor& y) {
  return -all.method.strength.scale / 2 *
         (all.gradient_of(state) * mean_step(all, state, y)).sum();
}

/** ReFL: minus a reward that is linear in the predicted picture; the gradient
 * in x is that of the picture by the picture's share of x. */
StateLoss picture_loss(const Path& path) {
  return
      [&path](const Trajectories& all, int64_t state, const torch::Tensor& y) {
        const auto by = path.prediction(all.rollout.transition_of(state).t);
        const auto picture = by.x * all.rollout.x[state] + by.y * y;
        const auto of_picture = all.gradient_of(state) / by.x;
        return -all.method.strength.scale * (of_picture * picture).sum();
      };
}

std::map<std::string, StateLoss> published(const Path& path) {
  const auto quadratic = [](double t) { return (1 - t) * (1 - t); };
  const auto linear = [](double t) { return 1 - t; };
  const auto one = [](double) { return 1.0; };
  const auto s = [](double s) { return s; };
  const auto sigma = [](double s, double) { return s; };
  const auto squared = [](double, double a) { return a * a; };
  return {{"vgg-flow", velocity_matching(quadratic)},
          {"residual-db", detailed_balance(one, squared, 1.5)},
          {"vgg-flow-pruned", velocity_matching(quadratic)},
          {"vgg-flow-linear", velocity_matching(linear)},
          {"vgg-flow-linear-half", velocity_matching(linear)},
          {"rsm-first-flow", velocity_matching(linear)},
          {"residual-db-pruned", detailed_balance(one, squared, 1.5)},
          {"residual-db-sigma", detailed_balance(s, sigma, 0.75)},
          {"rsm-first-diffusion", detailed_balance(s, sigma, 0.75)},
          {"adjoint-matching", adjoint_loss},
          {"sqdf", soft_q_loss},
          {"draft-k", reward_loss},
          {"alignprop", reward_loss},
          {"refl", picture_loss(path)}};
}

void expect_gradient_of(const Method& method, const Path& path,
                        const StateLoss& loss) {
  const Trajectories all(method, path, 10);
  auto y = all.y.clone().requires_grad_(true);
  mean_of(all, loss, y).backward();
  const auto expected = y.grad();
  const auto got = all.loss_gradient();
  EXPECT_TRUE(at::allclose(got, expected, 1e-6,
                           1e-9 * expected.abs().max().item<double>()))
      << method.name << " on " << name_of(path) << "\n"
      << (got - expected).abs().max() << expected.abs().max();
  EXPECT_GT(expected.abs().max().item<double>(), 0);
}

TEST(FirstOrderLoss, HasTheGradientOfThePublishedLossByAutograd) {
  int64_t compared = 0;
  for (const auto& path : both_paths()) {
    const auto losses = published(*path);
    for (const auto& method : catalogue()) {
      if (!method.estimator.is_first_order()) continue;
      ASSERT_TRUE(losses.contains(method.name)) << method.name;
      if (!method.is_for(path->family())) continue;
      expect_gradient_of(method, *path, losses.at(method.name));
      ++compared;
    }
  }
  EXPECT_GE(compared, 18);
}

/** The release's other factor on the reward's gradient, the signal itself. */
TEST(FirstOrderLoss, OfResidualsTakesTheSignalInPlaceOfItsSquare) {
  auto method = find_method("residual-db-pruned");
  method.strength.shape = StrengthKnobs::Shape::residual_linear;
  const auto one = [](double) { return 1.0; };
  const auto signal = [](double, double a) { return a; };
  expect_gradient_of(method, *diffusion_path(),
                     detailed_balance(one, signal, 1.5));
}

TEST(FirstOrderLoss, TheRedesignIsAdjointMatchingWithTheAdjointHeld) {
  const auto path = diffusion_path();
  auto redesign = find_method("rsm-first-diffusion");
  redesign.regularisation.old = 0;
  const Trajectories one(redesign, *path, 10);
  const Trajectories other(find_method("adjoint-matching"), *path, 10);
  EXPECT_TRUE(one.loss_gradient().equal(other.loss_gradient()));
}

TEST(FirstOrderLoss, ARefusedStateLosesAllAndIsStillCounted) {
  const auto path = diffusion_path();
  Trajectories all(find_method("rsm-first-diffusion"), *path, 5);
  const auto whole = all.loss_gradient();
  all.guidance.advantages.alive[3] = false;
  const auto without = all.loss_gradient();
  EXPECT_EQ(without[3].abs().max().item<double>(), 0);
  EXPECT_TRUE(without[4].equal(whole[4]));
}

TEST(TargetDistances, AreTheRootsOfAdjointMatchingsLosses) {
  const auto path = diffusion_path();
  Trajectories all(find_method("adjoint-matching"), *path, 5);
  all.guidance.trained = {0, 3, 4, 7};
  const auto distances =
      target_distances(all.method, all.rollout, all.outputs, all.guidance);
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t state = all.guidance.trained[i];
    const auto loss = adjoint_loss(all, state, all.outputs.old.y[state]);
    EXPECT_NEAR(distances[i].item<double>(),
                std::sqrt(loss.item<double>() * all.elements()), 1e-6);
  }
}

}  // namespace
}  // namespace rsm
