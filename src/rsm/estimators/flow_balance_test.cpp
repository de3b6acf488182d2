// What a learnt flow's balance says of rows, against the published losses by
// autograd.

#include "rsm/estimators/flow_balance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "rsm/base/error.h"
#include "rsm/estimators/gradient_testing.h"
#include "rsm/io/testing.h"
#include "rsm/objective/rows.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

constexpr int64_t kBalanceSteps = 6;
constexpr int64_t kBalanceRows = kBalanceSteps - 1;  // of a path
constexpr double kRate = 0.01;  // of the plain flow's updates

/** A black box. */
class Brightness : public Reward {
 public:
  std::string name() const override { return "brightness"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts&) const override {
    return {images.square().flatten(1).mean(1), {}};
  }
};

/** [B,3]: what the plain flow is linear in. */
torch::Tensor features(const torch::Tensor& x, const torch::Tensor& t) {
  const auto wide = x.to(at::kDouble).flatten(1);
  return at::stack({wide.mean(1), wide.square().mean(1) * t, t}, 1);
}

/** F = weights . features, and gradient descent. */
class LinearFlow : public LearntScalar {
 public:
  torch::Tensor at(const torch::Tensor& x, const torch::Tensor& t,
                   const ConditionRows&) override {
    return features(x, t).mv(weights).to(at::kFloat);
  }
  torch::Tensor slope(const torch::Tensor&, const torch::Tensor&,
                      const ConditionRows&) override {
    throw Error("[flow] no balance asks for its slope");
  }
  void update(const torch::Tensor& x, const torch::Tensor& t,
              const ConditionRows&, const torch::Tensor& slope) override {
    weights = weights - kRate * features(x, t).t().mv(slope.to(at::kDouble));
    ++updates;
  }
  StateDict state() const override { return {{"weights", weights.clone()}}; }
  void load_state(const StateDict& state) override {
    weights = state.at("weights").clone();
  }

  torch::Tensor weights = torch::tensor({0.7, -0.4, 1.1}, at::kDouble);
  int64_t updates = 0;
};

/** Stochastic paths of the Gaussian model, and what an entry says of them. */
struct BalanceSetting {
  BalanceSetting(const PathPointer& where, const std::string& entry)
      : path(where),
        denoiser(where),
        method(find_method(entry)),
        request(request_for(2, 3)) {
    method.estimator.flow.reward_scale = 3;
    method.estimator.flow.ramp = 4;
    method.estimator.flow.updates = 1;
    StepNoise noise;
    noise.level = usual_level(noise.kind, path->family());
    plan = make_plan(method, kBalanceSteps, noise);
    sampled.rollout = roll_out(denoiser, *path, plan, request);
    sampled.conditions = request.conditions;
    sampled.scores = reward.score(decoder.decode(rollout().latents), {});
    const auto y = rollout().y.to(at::kDouble);
    outputs.old = {y, all_states(rollout())};
    outputs.reference = outputs.old;
    estimator = std::make_unique<FlowBalance>(
        method, 1,
        GradientParts{reward, decoder, *path, denoiser, denoiser, &denoiser,
                      flow});
  }

  const Rollout& rollout() const { return sampled.rollout; }
  double reward_scale() const { return method.estimator.flow.reward_scale; }
  torch::Tensor moved_outputs(double size) const {
    return outputs.old.y +
           size * counted_normal(4, outputs.old.y.sizes()).to(at::kDouble);
  }

  struct Loss {
    torch::Tensor gradient;  ///< dL/dy of all states
    int64_t clipped = 0;     ///< rows
  };
  /** In two parts. */
  Loss loss(const Guidance& guidance, const torch::Tensor& y) const {
    const auto all = all_states(rollout());
    const auto weights =
        update_weights(method, rollout(), guidance.advantages, all);
    Loss out;
    std::vector<torch::Tensor> parts;
    const auto half = std::ssize(all) / 2;
    for (const auto& [first, last] :
         {std::pair(int64_t{0}, half), std::pair(half, std::ssize(all))}) {
      const std::vector<int64_t> some(all.begin() + first, all.begin() + last);
      auto terms =
          loss_terms(method, rollout(), outputs, guidance, weights, some);
      const auto there = y.slice(0, first, last);
      estimator->at_output(there, terms);
      const auto found = rsm_loss(there, terms.states, terms.rows);
      parts.push_back(found.gradient);
      out.clipped += found.rows.clipped.sum().item<int64_t>();
    }
    out.gradient = at::cat(parts);
    return out;
  }

  PathPointer path;
  GaussianDenoiser denoiser;
  Brightness reward;
  SquashedPixels decoder;
  std::shared_ptr<LinearFlow> flow = std::make_shared<LinearFlow>();
  Method method;
  RolloutRequest request;
  RolloutPlan plan;
  Sampled sampled;
  Outputs outputs;
  std::unique_ptr<FlowBalance> estimator;
};

constexpr int64_t kLate = 9;  // an epoch after the ramp

torch::Tensor mean_log_density(const torch::Tensor& x,
                               const torch::Tensor& mean, double variance) {
  return (-(x - mean).square() / (2 * variance)).mean() -
         0.5 * std::log(2 * std::numbers::pi * variance);
}

torch::Tensor log_forward(const BalanceSetting& here, int64_t row,
                          const torch::Tensor& y) {
  const auto& step = here.rollout().transition_of(row);
  const auto x = here.rollout().x[row].to(at::kDouble);
  return mean_log_density(here.rollout().x_next[row].to(at::kDouble),
                          step.a_x * x + step.m_y * y[row], step.s * step.s);
}

/** The noise between two times, as each family writes it. */
torch::Tensor log_backward(const BalanceSetting& here, int64_t row) {
  const auto& step = here.rollout().transition_of(row);
  const auto x = here.rollout().x[row].to(at::kDouble);
  const auto next = here.rollout().x_next[row].to(at::kDouble);
  if (here.path->family() == Family::diffusion) {
    const double a =
        std::pow(here.path->signal(step.t) / here.path->signal(step.t_next), 2);
    return mean_log_density(x, std::sqrt(a) * next, 1 - a);
  }
  const double share = (1 - step.t) / (1 - step.t_next);
  return mean_log_density(x, share * next,
                          step.t * step.t - std::pow(share * step.t_next, 2));
}

/** F_phi of x at t, differentiable in phi. */
torch::Tensor flow_of(const torch::Tensor& x, double t,
                      const torch::Tensor& phi) {
  return features(x.unsqueeze(0), torch::tensor({t}, at::kDouble)).mv(phi)[0];
}

/** Of the picture that the network predicts at x. */
double predicted_reward(BalanceSetting& here, int64_t row,
                        const torch::Tensor& x, double t) {
  const auto by = here.path->prediction(t);
  const auto y = here.denoiser.predict(x.unsqueeze(0),
                                       torch::tensor({static_cast<float>(t)}),
                                       here.sampled.conditions_of({row}));
  const auto pictures = here.decoder.decode(by.x * x.unsqueeze(0) + by.y * y);
  return here.reward.score(pictures, {}).value.item<double>();
}

/** log F + log p_F - log p_B - log F' of a row. */
torch::Tensor residual_of(BalanceSetting& here, int64_t row,
                          const torch::Tensor& y, const torch::Tensor& phi) {
  const auto& rollout = here.rollout();
  const auto& step = rollout.transition_of(row);
  const double b = here.reward_scale();
  const auto flow = flow_of(rollout.x[row], step.t, phi) +
                    b * predicted_reward(here, row, rollout.x[row], step.t);
  const bool last = row % kBalanceRows == kBalanceRows - 1;
  const auto next =
      last ? torch::tensor(b * here.sampled.scores.value[row / kBalanceRows]
                                   .item<double>(),
                           at::kDouble)
           : flow_of(rollout.x_next[row], step.t_next, phi) +
                 b * predicted_reward(here, row, rollout.x_next[row],
                                      step.t_next);
  return flow + log_forward(here, row, y) - log_backward(here, row) - next;
}

/** [R] */
torch::Tensor residuals_at(BalanceSetting& here, const torch::Tensor& y,
                           const torch::Tensor& phi) {
  std::vector<torch::Tensor> all;
  for (int64_t r = 0; r < here.rollout().rows(); ++r) {
    all.push_back(residual_of(here, r, y, phi));
  }
  return at::stack(all);
}

/** Mean over rows of (y - y_old)^2. */
torch::Tensor held(const BalanceSetting& here, const torch::Tensor& y) {
  return here.method.regularisation.old *
         (y - here.outputs.old.y).square().mean();
}

// Of an advantage, and of a flow's output: they are float32.
constexpr double kFloat = 1e-5;

void expect_gradient(const torch::Tensor& got, const torch::Tensor& expected,
                     const std::string& where) {
  const double largest = expected.abs().max().item<double>();
  EXPECT_GT(largest, 0) << where;
  EXPECT_LT((got - expected).abs().max().item<double>(), kFloat * largest)
      << where;
}

TEST(FlowBalance, HasTheGradientOfItsSquaredResidualWhereverTheOutputIs) {
  for (const auto& path : both_paths()) {
    BalanceSetting here(path, "dag-db");
    const auto guidance = here.estimator->guide(here.sampled, kLate);
    for (const double moved : {0.0, 0.3}) {
      auto y = here.moved_outputs(moved).requires_grad_(true);
      const auto loss =
          residuals_at(here, y, here.flow->weights).square().mean();
      (loss + held(here, y)).backward();
      expect_gradient(here.loss(guidance, y.detach()).gradient, y.grad(),
                      cat(name_of(*path), " ", moved));
    }
    const auto residual =
        residuals_at(here, here.outputs.old.y, here.flow->weights);
    EXPECT_NEAR(guidance.numbers.at("flow_loss"),
                residual.square().mean().item<double>(), 1e-4);
    EXPECT_NEAR(guidance.numbers.at("flow_residual"),
                residual.mean().item<double>(), 1e-5);
  }
}

TEST(FlowBalance, BoundsTheResidualOfThePresentOutput) {
  BalanceSetting here(diffusion_path(), "dag-db");
  here.method.regularisation.advantage_clip = 1e-3;
  const FlowBalance held(here.method, 1,
                         {here.reward, here.decoder, *here.path, here.denoiser,
                          here.denoiser, &here.denoiser, here.flow});
  const auto guidance = here.estimator->guide(here.sampled, kLate);
  const auto all = all_states(here.rollout());
  auto terms = loss_terms(
      here.method, here.rollout(), here.outputs, guidance,
      update_weights(here.method, here.rollout(), guidance.advantages, all),
      all);
  EXPECT_GT(terms.rows.advantage.abs().max().item<double>(), 1e-3);
  held.at_output(here.outputs.old.y, terms);
  EXPECT_EQ(terms.rows.advantage.abs().max().item<double>(), 1e-3);
}

/** PPO for what the balance lacks, compared with all other rows. */
torch::Tensor ppo_loss(BalanceSetting& here, const torch::Tensor& y) {
  const auto& knobs = here.method.regularisation;
  const auto lacking =
      -residuals_at(here, here.outputs.old.y, here.flow->weights);
  const double others = static_cast<double>(lacking.numel() - 1);
  const auto baseline = (lacking.sum() - lacking) / others;
  const auto spread = lacking.std(/*unbiased=*/false);
  const auto advantage = ((lacking - baseline) / (spread + 1e-8)).clamp(-5, 5);
  auto sum = torch::zeros({}, at::kDouble);
  for (int64_t r = 0; r < lacking.numel(); ++r) {
    const auto ratio =
        (log_forward(here, r, y) - log_forward(here, r, here.outputs.old.y))
            .exp();
    const double xi = knobs.clip_range;
    sum = sum + at::maximum(-advantage[r] * ratio,
                            -advantage[r] * ratio.clamp(1 - xi, 1 + xi));
  }
  return here.method.strength.scale * sum / lacking.numel();
}

TEST(FlowBalance, AsAnAdvantageHasTheGradientOfTheClippedRatio) {
  for (const auto& path : both_paths()) {
    BalanceSetting here(path, "dag-kl");
    here.method.strength.scale = 0.7;
    const auto guidance = here.estimator->guide(here.sampled, kLate);
    auto y = here.moved_outputs(1e-3).requires_grad_(true);
    (ppo_loss(here, y) + held(here, y)).backward();
    const auto got = here.loss(guidance, y.detach());
    expect_gradient(got.gradient, y.grad(), name_of(*path));
    EXPECT_GT(got.clipped, 0);
    EXPECT_LT(got.clipped, here.rollout().rows());
  }
}

TEST(FlowBalance, TeachesItsFlowByTheSameSquareOfBothEnds) {
  for (const std::string entry : {"dag-db", "dag-kl"}) {
    for (const auto& path : both_paths()) {
      BalanceSetting here(path, entry);
      here.estimator->guide(here.sampled, kLate);
      // The training copy's outputs, not the rollout's, are what it learns of.
      here.outputs.old.y = here.moved_outputs(0.1);
      auto phi = here.flow->weights.clone().requires_grad_(true);
      residuals_at(here, here.outputs.old.y, phi).square().mean().backward();
      const auto before = here.flow->weights;
      here.estimator->learn(here.sampled, here.outputs);
      EXPECT_EQ(here.flow->updates, 1);
      expect_gradient((before - here.flow->weights) / kRate, phi.grad(),
                      cat(entry, " on ", name_of(*path)));
    }
  }
}

TEST(FlowBalance, TeachesItInSharesOfThePaths) {
  BalanceSetting here(flow_path(), "dag-db");
  const auto once = here.flow->weights;
  for (const auto& [wanted, taken] :
       {std::pair<int64_t, int64_t>{4, 4}, {100, here.rollout().images()}}) {
    here.method.estimator.flow.updates = wanted;
    FlowBalance often(here.method, 1,
                      {here.reward, here.decoder, *here.path, here.denoiser,
                       here.denoiser, &here.denoiser, here.flow});
    here.flow->updates = 0;
    often.guide(here.sampled, kLate);
    often.learn(here.sampled, here.outputs);
    EXPECT_EQ(here.flow->updates, taken);
  }
}

TEST(FlowBalance, RaisesItsRewardsWeightWithTheEpochs) {
  BalanceSetting here(flow_path(), "dag-kl");
  for (const auto& [epoch, scale] : {std::pair<int64_t, double>{0, 0},
                                     {1, 0.75},
                                     {3, 2.25},
                                     {4, 3},
                                     {40, 3}}) {
    const auto numbers = here.estimator->guide(here.sampled, epoch).numbers;
    EXPECT_DOUBLE_EQ(numbers.at("flow_reward_scale"), scale) << epoch;
  }
}

TEST(FlowBalance, TrainsEveryRowOfEveryPath) {
  BalanceSetting here(diffusion_path(), "dag-db");
  const auto guidance = here.estimator->guide(here.sampled, 0);
  EXPECT_EQ(guidance.trained, all_states(here.rollout()));
  EXPECT_TRUE(guidance.advantages.alive.all().item<bool>());
  EXPECT_TRUE(guidance.directions.empty());
  EXPECT_EQ(guidance.evaluations, here.rollout().states());
}

TEST(FlowBalance, RefusesWhatHasNoBalance) {
  BalanceSetting here(flow_path(), "dag-db");
  auto sampled = here.sampled;
  sampled.rollout.row_state.pop_back();
  expect_parts(error_of([&] { here.estimator->guide(sampled, 0); }),
               {"[flow]", "stochastic paths are needed"});
  here.flow->weights[0] = std::nan("");
  expect_parts(error_of([&] { here.estimator->guide(here.sampled, 1); }),
               {"[flow] epoch 2", "not finite"});
  expect_parts(error_of([&] {
                 FlowBalance(here.method, 1,
                             {here.reward, here.decoder, *here.path,
                              here.denoiser, here.denoiser});
               }),
               {"[flow]", "no network"});
}

}  // namespace
}  // namespace rsm
