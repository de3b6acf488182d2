#include "rsm/train/branch_choice.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/objective/strength.h"
#include "rsm/rollouts/gaussian_testing.h"

namespace rsm {
namespace {

/** `slope` times a picture's first element: odd in any noise. */
class FirstElement : public Reward {
 public:
  explicit FirstElement(double slope) : slope_(slope) {}
  std::string name() const override { return "first"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& /*prompts*/) const override {
    return {slope_ * images.flatten(1).select(1, 0), {}};
  }

 private:
  double slope_;
};

RunOptions some_run() {
  RunOptions out;
  out.steps = 4;
  out.noise.level = 0.7;
  out.method.estimator.source = EstimatorKnobs::Source::branches;
  out.method.estimator.spread = EstimatorKnobs::Spread::none;
  out.method.estimator.budget.every = 1;
  return out;
}

RolloutRequest roots(int64_t count, int64_t epoch) {
  RolloutRequest out;
  for (int64_t i = 0; i < count; ++i) out.prompts.push_back({i, "prompt", ""});
  out.conditions = {at::zeros({count, 1, 1}), at::zeros({count, 1})};
  out.epoch = epoch;
  out.latent_shape = {2, 2, 2};
  return out;
}

BranchChoice chosen(const RunOptions& options, double slope,
                    int64_t epoch = 0) {
  const auto path = flow_path();
  GaussianDenoiser sampler(path);
  return choose_branches(options, {6, 6, 6, 0}, roots(400, epoch), sampler,
                         *path, LatentsThemselves(), FirstElement(slope));
}

/** Var r of siblings, which is odd: of `slope` times the picture's element what
 * a step's noise becomes there, s times the factors of the ODE. */
std::vector<double> known_variance(const RolloutPlan& plan, double slope) {
  const auto path = flow_path();
  const auto transitions = plan.transitions(*path);
  GaussianDenoiser denoiser(path);
  std::vector<double> out;
  for (int64_t i = 0; i < 3; ++i) {
    double c = slope * transitions[i].s;
    for (int64_t j = i + 1; j < 3; ++j) {
      const auto step = path->ode_step(plan.times(*path), j);
      const auto y = denoiser.predict(
          at::ones({1, 1, 1, 1}),
          at::full({1}, static_cast<float>(step.t), at::kFloat),
          Condition{at::zeros({1, 1, 1}), at::zeros({1, 1})});
      c *= step.a_x + step.m_y * y.item<double>();
    }
    out.push_back(c * c);
  }
  return out;
}

TEST(BranchChoice, KnowsASignalThatIsKnown) {
  auto options = some_run();
  options.method.estimator.branches = {2, 2, 2};
  const auto plan = make_plan(options.method, 4, options.noise);
  const auto transitions = plan.transitions(*flow_path());
  const auto variance = known_variance(plan, 2);
  const auto found = chosen(options, 2);
  for (size_t i = 0; i < 3; ++i) {
    // Of 800 pairs, and 400 differences of two.
    EXPECT_NEAR(found.by_step.at("branch_odd")[i], variance[i],
                0.25 * variance[i]);
    EXPECT_NEAR(found.by_step.at("branch_variance")[i], variance[i],
                0.35 * variance[i]);
  }
  EXPECT_EQ(found.by_step.at("branch_odd").size(), 4U);
  EXPECT_EQ(found.images, 2 * 400 * 6);
  EXPECT_EQ(found.evaluations, 2 * 400 * (3 + 2 * (3 + 2 + 1)));
  const auto worth =
      worth_by_step(options.method, plan, transitions, variance, variance);
  for (size_t i = 0; i < 3; ++i) {
    const double h = guidance_strength(options.method.strength, transitions[i]);
    EXPECT_DOUBLE_EQ(worth[i].signal, h * h * variance[i]);
    EXPECT_DOUBLE_EQ(worth[i].noise, h * h * variance[i]);
    EXPECT_DOUBLE_EQ(worth[i].cost, 4 - static_cast<double>(i));
  }
}

/** Of a linear reward of normal data all is known: the budgets that rules find
 * beside the best of all that cost as much. */
TEST(BranchChoice, OfALinearModelIsNextToTheBestOfAll) {
  auto options = some_run();
  options.method.estimator.branches = {6, 6, 6};
  const auto plan = make_plan(options.method, 4, options.noise);
  const auto variance = known_variance(plan, 2);
  const auto worth = worth_by_step(
      options.method, plan, plan.transitions(*flow_path()), variance, variance);
  const double cost = budget_cost(worth, {6, 6, 6});
  constexpr double kRoots = 16;
  double best = 0;
  for (int64_t code = 0; code < 28 * 28 * 28; ++code) {
    const std::vector<int64_t> k = {code % 28, code / 28 % 28, code / 784};
    if (budget_cost(worth, k) > cost || k[0] == 1 || k[1] == 1 || k[2] == 1) {
      continue;
    }
    best = std::max(best, budget_gain(worth, k, kRoots));
  }
  const auto share = [&](const std::vector<int64_t>& k) {
    return budget_gain(worth, k, kRoots) / best;
  };
  EXPECT_GT(share(branch_budget(worth, cost, kRoots)), 0.99);
  EXPECT_GT(share(budget_by_worth(worth, cost, 0.25)), 0.9);
}

TEST(BranchChoice, WeighsStepsBySignalOverNoise) {
  auto options = some_run();
  options.method.estimator.branches = {2, 2, 2};
  const auto transitions =
      make_plan(options.method, 4, options.noise).transitions(*flow_path());
  const std::vector<StepWorth> worth = {{6, 2, 1}, {1, 5, 1}, {5, 2, 1}};
  const auto weights =
      weights_by_step(options.method, transitions, worth, {2, 0, 4});
  EXPECT_DOUBLE_EQ(weights[2] / weights[0], (5.0 / 2 * 4) / (6.0 / 2 * 2));
  EXPECT_EQ(weights[1], 1);
  const auto h = [&](size_t i) {
    return guidance_strength(options.method.strength, transitions[i]);
  };
  EXPECT_DOUBLE_EQ(h(0) * weights[0] + h(2) * weights[2], h(0) + h(2));
}

TEST(BranchChoice, GivesWeightsWhereTheyAreAskedFor) {
  auto options = some_run();
  EXPECT_TRUE(chosen(options, 1).weights.empty());
  options.method.estimator.budget.strength = true;
  options.method.estimator.budget.least_worth = 0.01;
  const auto weights = chosen(options, 1).weights;
  ASSERT_EQ(weights.size(), 4U);
  EXPECT_EQ(weights[3], 1);
  // A plan's weights are what acts.
  options.method.estimator.branches = {2, 2, 2};
  auto plan = make_plan(options.method, 4, options.noise);
  const auto before = plan.transitions(*flow_path());
  plan.weights = {3, 1, 0.5, 1};
  const auto after = plan.transitions(*flow_path());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_DOUBLE_EQ(
        strength(options.method.strength, after[i]),
        plan.weights[i] * strength(options.method.strength, before[i]));
  }
}

TEST(BranchChoice, SpendsWhatIsConfigured) {
  auto options = some_run();
  for (const double least : {0.01, 0.3, 1.0}) {
    options.method.estimator.budget.least_worth = least;
    const auto found = chosen(options, 1);
    ASSERT_EQ(found.branches.size(), 4U);
    EXPECT_EQ(found.branches[3], 0);
    int64_t cost = 0, times = 0;
    for (int64_t i = 0; i < 3; ++i) {
      cost += (4 - i) * found.branches[i];
      times += found.branches[i] > 0 ? 1 : 0;
    }
    // 6 at each step, but for what buys no branch.
    EXPECT_LE(cost, 6 * (4 + 3 + 2));
    EXPECT_GT(cost, 6 * (4 + 3 + 2) - 4);
    if (least == 1) {
      EXPECT_EQ(times, 1);
    }
    if (least == 0.01) {
      EXPECT_GT(times, 1);
    }
  }
}

TEST(BranchChoice, IsDrawnAnewInEveryEpochAndNeverByChance) {
  const auto options = some_run();
  const auto odd = [&](int64_t epoch) {
    return chosen(options, 1, epoch).by_step.at("branch_odd")[0];
  };
  EXPECT_EQ(odd(3), odd(3));
  EXPECT_NE(odd(3), odd(4));
}

TEST(BranchChoice, StaysAsConfiguredWhereNoRewardDiffers) {
  EXPECT_EQ(chosen(some_run(), 0).branches, (std::vector<int64_t>{6, 6, 6, 0}));
}

TEST(BranchChoice, OfGroupsSpreadsCountsWhatRewardsGain) {
  auto options = some_run();
  options.method.estimator.spread = EstimatorKnobs::Spread::group;
  const auto plan = make_plan(
      [&] {
        auto method = options.method;
        method.estimator.branches = {2, 2, 2};
        return method;
      }(),
      4, options.noise);
  const auto transitions = plan.transitions(*flow_path());
  const auto worth =
      worth_by_step(options.method, plan, transitions, {4, 0, 9}, {1, 0, 9});
  const auto h_of = [&](size_t i) {
    return guidance_strength(options.method.strength, transitions[i]);
  };
  EXPECT_DOUBLE_EQ(worth[0].gain(), h_of(0) * h_of(0) / 2);
  EXPECT_DOUBLE_EQ(worth[0].noise, h_of(0) * h_of(0));
  EXPECT_EQ(worth[1].signal, 0);
  EXPECT_GT(worth[1].noise, 0);
  EXPECT_DOUBLE_EQ(worth[2].gain(), 3 * h_of(2) * h_of(2));
  EXPECT_DOUBLE_EQ(worth[2].noise, h_of(2) * h_of(2));
}

}  // namespace
}  // namespace rsm
