#include "rsm/analysis/toy_paths.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

/** An estimator of the list with its paths at one state. */
struct Drawn {
  Drawn(const std::string& label, int64_t timestep, int64_t samples,
        bool tilted = true, std::vector<int64_t> grid = {}) {
    for (const auto& each : toy_estimators(timestep)) {
      if (each.label() == label) estimator = each;
    }
    if (!grid.empty()) estimator.grid = std::move(grid);
    path = estimator.path();
    network = std::make_unique<MixtureDenoiser>(
        tilted ? world.tilted() : world.reference(), *path);
    reference = std::make_unique<MixtureDenoiser>(world.reference(), *path);
    state.x = world.states(1, std::sqrt(ThreeModes::alpha_bars()[timestep]))[0];
    paths = std::make_unique<ToyPaths>(world, *network, *reference, estimator,
                                       state, samples, /*seed=*/3);
  }

  /** [count,2], carried back by the step's own Omega where it is. */
  torch::Tensor estimates(int64_t samples, int64_t count) const {
    const auto omega = estimator.carried ? ToyOmega::step : ToyOmega::none;
    return factor_of(omega, estimator) *
           paths->estimates(estimator, {{samples, count}})[0];
  }

  ThreeModes world;
  ToyEstimator estimator;
  std::shared_ptr<const Path> path;
  std::unique_ptr<MixtureDenoiser> network, reference;
  ToyState state;
  std::unique_ptr<ToyPaths> paths;
};

/** Fails unless estimates [count,2] have this mean, within 4.5 of its standard
 * errors: one of 150,000 tries is beyond. */
void expect_mean(const torch::Tensor& estimates,
                 const std::vector<double>& mean, const std::string& what) {
  const auto error =
      estimates.std(0) / std::sqrt(static_cast<double>(estimates.size(0)));
  for (int64_t c = 0; c < 2; ++c) {
    EXPECT_NEAR(estimates.mean(0)[c].item<double>(), mean[c],
                4.5 * error[c].item<double>())
        << what << ", dimension " << c;
  }
}

TEST(ToyPaths, DeterministicEstimatesAreTheGoldenOnes) {
  const std::map<std::pair<std::string, int64_t>, std::vector<double>> golden =
      {{{"DPS", 389}, {-0.18490878, -0.14296930}},
       {{"SQDF2", 389}, {-0.82217641, -0.94216389}},
       {{"DPS", 149}, {-0.37419174, -0.03332439}},
       {{"SQDF2", 149}, {-0.43615763, -0.01560752}}};
  for (const auto& [of, gradient] : golden) {
    const auto estimate = Drawn(of.first, of.second, 1).estimates(1, 1)[0];
    for (int64_t c = 0; c < 2; ++c) {
      // Of float32 networks.
      EXPECT_NEAR(estimate[c].item<double>(), gradient[c], 3e-6) << of.first;
    }
  }
}

TEST(ToyPaths, ManySamplesLeadToTheGoldenLimits) {
  const std::map<std::pair<std::string, int64_t>, std::vector<double>> golden =
      {{{"GRPO", 389}, {-0.18307666, -0.14455470}},
       {{"FO 0.9", 389}, {-0.18505709, -0.14321820}},
       {{"MIX 1", 389}, {-0.80937821, -0.60646950}},
       {{"GRPO", 149}, {-0.33223795, -0.01811029}},
       {{"FO 0.9", 149}, {-0.37106453, -0.02796479}},
       {{"MIX 1", 149}, {-0.42822479, -0.00455759}}};
  constexpr int64_t kSamples = 512, kCount = 64;
  for (const auto& [of, limit] : golden) {
    const Drawn drawn(of.first, of.second, kSamples * kCount);
    // A mean over K that has the sample in it takes 1 / K away.
    const double left = drawn.estimator.is_first_order()
                            ? 1
                            : 1 - 1 / static_cast<double>(kSamples);
    expect_mean(drawn.estimates(kSamples, kCount) / left, limit,
                cat(of.first, " at ", of.second));
  }
}

TEST(ToyPaths, SoftReturnsLeadToTheValuesOwnGradient) {
  // Where GRPO is off by 0.06 and 0.046 for good.
  const std::vector<double> truth = {-0.2425307830674, -0.0981493871187};
  constexpr double kOfSteps = 0.012;  // what steps of this size leave
  constexpr int64_t kSamples = 512;
  struct Case {
    std::string label;
    bool tilted;
    int64_t count;
  };
  for (const auto& [label, tilted, count] :
       {Case{"SOFTRETURN", true, 256}, Case{"EXPREWARD", false, 256},
        Case{"FOSOFT", true, 32}}) {
    SCOPED_TRACE(label);
    const Drawn drawn(label, 389, kSamples * count, tilted);
    const double left = drawn.estimator.is_first_order()
                            ? 1
                            : 1 - 1 / static_cast<double>(kSamples);
    const auto estimates = drawn.estimates(kSamples, count) / left;
    const auto error = estimates.std(0) / std::sqrt(static_cast<double>(count));
    for (int64_t c = 0; c < 2; ++c) {
      const double doubt = 4.5 * error[c].item<double>() + kOfSteps;
      EXPECT_LT(doubt, 0.045);
      EXPECT_NEAR(estimates.mean(0)[c].item<double>(), truth[c], doubt);
    }
  }
}

TEST(ToyPaths, PointsPayWhatTheirOwnPathsLeave) {
  // One path is a field of one point.
  const Drawn many("SOFTRETURN", 149, 16);
  const auto sampled = many.paths->first_steps(16, 1);
  const auto& fields = many.paths->rollout();
  ASSERT_EQ(sampled.rollout.cost.sizes(), (std::vector<int64_t>{16, 1, 1}));
  EXPECT_TRUE(
      at::equal(sampled.rollout.cost.flatten(), fields.cost[0].flatten()));
  EXPECT_GT(sampled.rollout.cost.min().item<double>(), 0);
  // Rows pay less the later they are, and nothing for the last step.
  EXPECT_TRUE((fields.cost.slice(0, 1) <= fields.cost.slice(0, 0, -1))
                  .all()
                  .item<bool>());
  EXPECT_EQ(fields.cost[-1].abs().max().item<double>(), 0);
}

/** Points of a grid that weigh what a normal density says: their sums are its
 * means. */
struct NormalGrid {
  NormalGrid() {
    // The trapezoid rule on normal densities: exact to exp(-2 pi^2 / 0.1^2).
    const auto line = at::arange(-8, 8.05, 0.1, at::kDouble);
    const auto mesh = at::meshgrid({line, line}, "ij");
    xi = at::stack({mesh[0].flatten(), mesh[1].flatten()});
    weight = (-0.5 * xi.square().sum(0)).exp();
    weight = weight / weight.sum();
  }
  torch::Tensor xi;      ///< [2,N]
  torch::Tensor weight;  ///< [N]
};

TEST(ToyPaths, OneStepOfLookaheadHasItsExactLimits) {
  const NormalGrid normal;
  constexpr int64_t kSamples = 256, kCount = 64;
  for (const bool tilted : {true, false}) {
    for (const int64_t timestep : {389, 149}) {
      const std::vector<int64_t> grid = {timestep + 1, timestep - 9, 0};
      const auto draw = [&](const std::string& label) {
        return std::make_unique<Drawn>(label, timestep, kSamples * kCount,
                                       tilted, grid);
      };
      const auto zeroth = draw("LA0 0.9");
      const auto& world = zeroth->world;
      const auto& policy = tilted ? world.tilted() : world.reference();
      const auto& step = zeroth->paths->rollout().transitions[0];
      const auto at = [&](double t) {
        return at::full({1, 1, 1}, zeroth->path->signal(t), at::kDouble);
      };
      const auto x = zeroth->state.x.view({1, 2, 1});
      const auto mean = step.a_x * x + step.m_y * policy.noise(x, at(step.t));
      const auto next = (mean + step.s * normal.xi).requires_grad_(true);
      const auto reward = world.reward(policy.picture(next, at(step.t_next)));
      const auto slope = torch::autograd::grad({reward.sum()}, {next})[0];
      const double omega = factor_of(ToyOmega::step, zeroth->estimator);
      const auto expected = [&](const torch::Tensor& of_points) {
        const auto sum = (of_points.detach() * normal.weight).sum(-1).flatten();
        return std::vector<double>{sum[0].item<double>(),
                                   sum[1].item<double>()};
      };
      const auto by_reward = expected(omega / step.s * reward * normal.xi);
      const auto by_slope = expected(omega * slope);
      for (int64_t c = 0; c < 2; ++c) {
        EXPECT_NEAR(by_reward[c], by_slope[c], 1e-9);  // Stein's identity
      }
      const double left = 1 - 1 / static_cast<double>(kSamples);
      expect_mean(zeroth->estimates(kSamples, kCount) / left, by_reward,
                  cat("LA0 at ", timestep));
      expect_mean(draw("FOprev 0.9")->estimates(kSamples, kCount), by_slope,
                  cat("FOprev at ", timestep));
      // In the state itself: the mean's Jacobian, which is symmetric.
      const auto carried =
          step.a_x * slope +
          step.m_y * policy.noise_jacobian_times(
                         x.expand_as(slope).contiguous(), at(step.t), slope);
      expect_mean(draw("FO 0.9")->estimates(kSamples, kCount),
                  expected(carried), cat("FO at ", timestep));
    }
  }
}

TEST(ToyPaths, TheLossSaysRewardTimesNoise) {
  constexpr int64_t kSamples = 32, kCount = 4;
  for (const std::string label :
       {"PPO", "GRPO", "LA0 0.5", "MIX 4", "BRANCH 2x2", "BRANCH 2x4"}) {
    SCOPED_TRACE(label);
    const Drawn drawn(label, 389, kSamples * kCount);
    const int64_t leaves = drawn.estimator.leaves();
    const auto sampled = drawn.paths->first_steps(kSamples / leaves, kCount);
    const auto& rollout = sampled.rollout;
    const auto& step = rollout.transitions[0];
    const auto state =
        torch::tensor(rollout.row_state, at::kLong);  // of each row
    const auto noise =
        (rollout.x_next - step.a_x * rollout.x.index_select(0, state) -
         step.m_y * rollout.y.index_select(0, state)) /
        step.s;
    auto reward = drawn.world.reward(rollout.latents.flatten(2))
                      .to(at::kDouble)
                      .view({kCount, kSamples});
    if (label != "PPO") reward = reward - reward.mean(1, /*keepdim=*/true);
    const int64_t each = rollout.images() / rollout.rows();
    const auto xi =
        noise.to(at::kDouble).view({-1, 2}).repeat_interleave(each, 0);
    const auto expected =
        (reward.unsqueeze(2) * xi.view({kCount, -1, 2})).mean(1) / step.s;
    const auto estimates =
        drawn.paths->estimates(drawn.estimator, {{kSamples, kCount}})[0];
    // float32 rewards up to 10, over s of 0.46; pictures are kept to 4e-6.
    EXPECT_TRUE(at::allclose(estimates, expected, 1e-5, 5e-5))
        << estimates << expected;
  }
}

TEST(ToyPaths, PointsOfAFieldKeepTheirOwnPaths) {
  constexpr int64_t kRoots = 8;
  // After its one noisy step a path is known.
  const Drawn drawn("MIX 1", 149, kRoots);
  const auto sampled = drawn.paths->first_steps(kRoots / 2, 2);
  const auto& rollout = sampled.rollout;
  auto times = drawn.path->times(std::ssize(drawn.estimator.grid) - 1);
  times.erase(times.begin());
  const Condition conditions{at::zeros({kRoots, 1, 1}), {}};
  const auto ends = sample_ode(*drawn.network, *drawn.path, times,
                               rollout.x_next, conditions);
  EXPECT_TRUE(at::allclose(rollout.latents, ends, 1e-5, 1e-5));
  EXPECT_EQ(rollout.state_prompt,
            (std::vector<int64_t>{0, 0, 0, 0, 1, 1, 1, 1}));
}

TEST(ToyPaths, LeavesOfATreeStandBelowTheirRows) {
  // The last split of two is late: the leaves below one noise lie near each
  // other, farther from those of another.
  constexpr int64_t kRoots = 64;
  const Drawn drawn("BRANCH 4x2", 149, 16 * kRoots);
  const auto sampled = drawn.paths->first_steps(kRoots, 1);
  const auto& rollout = sampled.rollout;
  EXPECT_EQ(rollout.rows(), 2 * kRoots);
  EXPECT_EQ(rollout.images(), 16 * kRoots);
  const auto leaves = rollout.latents.view({2 * kRoots, 8, 2});
  const auto below = leaves.var(1).mean().item<double>();
  const auto between = leaves.mean(1).var(0).mean().item<double>();
  EXPECT_LT(below, between);
}

TEST(ToyPaths, TheSamplerCountsTheEvaluationsThatArePublished) {
  // Published counts take the evaluation before a split once for each child.
  for (const auto& estimator : toy_estimators(149)) {
    if (estimator.grid.empty() || estimator.name == "DPS") continue;
    SCOPED_TRACE(estimator.label());
    const auto plan = estimator.plan();
    int64_t again = cost_evaluations_per_root(plan);
    if (estimator.name == "FOSOFT") again = plan.steps;
    for (const int64_t split : plan.estimator.tree.split_steps) {
      again += plan.nodes_at(split + 1) - plan.nodes_at(split);
    }
    EXPECT_EQ(estimator.evaluations(estimator.leaves()),
              plan.evaluations_per_root() + again);
  }
}

TEST(ToyPaths, ServeThoseWhoDrawAlike) {
  const Drawn drawn("GRPO", 149, 32);
  for (const auto& estimator : toy_estimators(149)) {
    const auto label = estimator.label();
    const bool alike =
        label == "PPO" || label == "GRPO" || label == "BRANCH 1x1";
    EXPECT_EQ(drawn.paths->serves(estimator), alike) << label;
  }
  const auto other = Drawn("BRANCH 2x4", 149, 16).estimator;
  EXPECT_THROW(drawn.paths->estimates(other, {{16, 1}}), Error);
  // Whatever else is drawn, the first paths are the same.
  const Drawn again("GRPO", 149, 32);
  EXPECT_TRUE(at::equal(drawn.estimates(16, 2), again.estimates(16, 2)));
}

}  // namespace
}  // namespace rsm
