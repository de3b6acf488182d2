// Losses of methods that follow a reward's gradient, against the published ones
// by autograd, and their tables.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "rsm/base/random.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"
#include "rsm/objective/targets.h"
#include "rsm/rollouts/gaussian_testing.h"
#include "rsm/rollouts/plan.h"

namespace rsm {
namespace {

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

TEST(FirstOrderLoss, HasTheGradientOfThePublishedLossByAutograd) {
  int64_t compared = 0;
  for (const auto& path : both_paths()) {
    const auto losses = published(*path);
    for (const auto& method : catalogue()) {
      if (!method.estimator.is_first_order()) continue;
      ASSERT_TRUE(losses.contains(method.name)) << method.name;
      if (!method.is_for(path->family())) continue;
      const Trajectories all(method, *path, 10);
      auto y = all.y.clone().requires_grad_(true);
      mean_of(all, losses.at(method.name), y).backward();
      const auto expected = y.grad();
      const auto got = all.loss_gradient();
      EXPECT_TRUE(at::allclose(got, expected, 1e-6,
                               1e-9 * expected.abs().max().item<double>()))
          << method.name << " on " << name_of(*path) << "\n"
          << (got - expected).abs().max() << expected.abs().max();
      EXPECT_GT(expected.abs().max().item<double>(), 0);
      ++compared;
    }
  }
  EXPECT_GE(compared, 18);
}

TEST(FirstOrderLoss, TheRedesignIsAdjointMatchingWithTheAdjointHeld) {
  const auto path = diffusion_path();
  auto redesign = find_method("rsm-first-diffusion");
  redesign.regularisation.old = 0;
  const Trajectories one(redesign, *path, 10);
  const Trajectories other(find_method("adjoint-matching"), *path, 10);
  EXPECT_TRUE(one.loss_gradient().equal(other.loss_gradient()));
}

/** Steps that a method's trajectories take. */
Transitions steps_of(const Method& method, const Path& path, int64_t steps) {
  StepNoise noise;
  noise.level = usual_level(noise.kind, path.family());
  return make_plan(method, steps, noise).transitions(path);
}

constexpr double kDigits = 5e-6;  // half a unit of the tables' sixth digit

void expect_near(double got, double expected, int64_t step) {
  EXPECT_NEAR(got, expected, kDigits * std::abs(expected)) << step;
}

/** i, h / b, C1, C2 relative to it with a weight of 100. */
struct Line {
  int64_t step;
  double h, c1, c2;
};

void expect_lines(Method method, double unit, const std::vector<Line>& lines) {
  method.strength.scale = unit;
  const auto steps = steps_of(method, *diffusion_path(), 50);
  for (const auto& line : lines) {
    const auto& step = steps[line.step];
    const auto factors = score_factors(method, step);
    expect_near(guidance_strength(method.strength, step), line.h, line.step);
    expect_near(factors.c1, line.c1, line.step);
    expect_near(factors.c2 / factors.c1, line.c2, line.step);
  }
}

TEST(FirstOrderStrength, IsThatOfTheTablesOnFiftyStepsOfDdim) {
  expect_lines(find_method("residual-db-pruned"), 1,
               {{0, 0.00821246, 1.26462, 78.6181},
                {10, 0.0575725, 1.20176, 79.595},
                {25, 0.432048, 1.18983, 58.6392},
                {48, 82.8076, 134.991, 0.0145338},
                {49, 48.5432, 4.02215, 0.0423647}});
  expect_lines(find_method("rsm-first-diffusion"), 2,
               {{0, 0.232936, 0.261192, 380.649},
                {10, 0.171142, 0.183492, 521.299},
                {25, 0.108079, 0.0984734, 708.521},
                {48, 0.129287, 0.210401, 9.32467},
                {49, 0.0207142, 0.00171486, 99.3653}});
}

TEST(FirstOrderStrength, OfSoftQIsThatOfItsTable) {
  auto method = find_method("sqdf");
  method.strength.scale = 1;
  const auto steps = steps_of(method, *diffusion_path(), 50);
  const std::map<int64_t, double> table = {{0, 0.000666944},
                                           {10, 0.00140535},
                                           {25, 0.00431054},
                                           {48, 0.0581792},
                                           {49, 0.0103571}};
  for (const auto& [step, h] : table) {
    expect_near(guidance_strength(method.strength, steps[step]) *
                    std::pow(method.estimator.gradient.discount, 49 - step),
                h, step);
  }
}

TEST(FirstOrderStrength, IsThatOfTheTablesOnTwentyStepsOfAFlow) {
  const std::map<std::string, std::map<int64_t, double>> tables = {
      {"vgg-flow-pruned",
       {{0, 0}, {1, 9855.91}, {10, 2.17124e+06}, {19, 2.94667e+07}}},
      {"vgg-flow-linear",
       {{0, 0}, {1, 543762}, {10, 8.07077e+06}, {19, 2.97321e+07}}},
      {"rsm-first-flow",
       {{0, 0}, {1, 271881}, {10, 4.03539e+06}, {19, 1.48661e+07}}}};
  for (const auto& [name, table] : tables) {
    const auto method = find_method(name);
    const auto steps = steps_of(method, *flow_path(), 20);
    for (const auto& [step, h] : table) {
      expect_near(guidance_strength(method.strength, steps[step]), h, step);
      expect_near(row_factors(method, steps[step], 1).guidance, -h, step);
    }
  }
}

TEST(FirstOrderLoss, MovesAnOutputByWhatItsTargetSays) {
  // t = 0.5, v_ref = 0.25, g = 2e-8.
  const auto target = [](const std::string& name) {
    auto method = find_method(name);
    Transition step;
    step.t = 0.5;
    step.t_next = 0.4;
    step.m_y = -0.1;
    step.s = 1;
    return 0.25 + row_factors(method, step, 1).guidance * 2e-8;
  };
  EXPECT_NEAR(target("vgg-flow-pruned"), 0.1, 1e-9);
  EXPECT_NEAR(target("vgg-flow-linear"), -0.05, 1e-9);
  EXPECT_NEAR(target("rsm-first-flow"), 0.1, 1e-9);
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
