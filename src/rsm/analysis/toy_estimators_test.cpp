#include "rsm/analysis/toy_estimators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "rsm/analysis/loss_guidance.h"
#include "rsm/analysis/toy_paths.h"
#include "rsm/base/error.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

ToyEstimator labelled(const std::string& label, int64_t timestep) {
  for (const auto& estimator : toy_estimators(timestep)) {
    if (estimator.label() == label) return estimator;
  }
  throw Error("no estimator " + label);
}

TEST(ToyEstimators, CostWhatIsPublished) {
  constexpr int64_t kSamples = 64;
  // In network evaluations of a sample.
  const std::map<std::string, std::pair<double, double>> per_sample = {
      {"PPO", {39, 15}},
      {"GRPO", {39, 15}},
      {"BRANCH 1x1", {39, 15}},
      {"MIX 1", {39, 15}},
      {"MIX 4", {39, 15}},
      {"LA0 0.9", {5, 3}},
      {"LA0 0.8", {9, 4}},
      {"LA0 0.5", {21, 9}},
      {"FO 0.9", {5, 3}},
      {"FO 0.8", {9, 4}},
      {"FO 0.5", {21, 9}},
      {"FOprev 0.9", {5, 3}},
      {"FOprev 0.8", {9, 4}},
      {"FOprev 0.5", {21, 9}},
      {"BRANCH 2x2", {29, 11}},
      {"BRANCH 3x2", {22.75, 8.75}},
      {"BRANCH 4x2", {17.75, 6.5}},
      {"BRANCH 2x4", {24, 9}},
      // And the reference at all states of the path but its first, whose own
      // step is not behind it, and its last, which draws no noise.
      {"SOFTRETURN", {39 + 37, 15 + 13}},
      {"EXPREWARD", {39, 15}},
      {"FOSOFT", {2 * 39, 2 * 15}}};
  const std::map<std::string, std::pair<int64_t, int64_t>> alone = {
      {"ZERO", {0, 0}},
      {"DPS", {1, 1}},
      {"SQDF2", {2, 2}},
      {"ODEFULL", {39, 15}}};
  for (const int64_t timestep : kToyTimesteps) {
    const auto all = toy_estimators(timestep);
    EXPECT_EQ(all.size(), per_sample.size() + alone.size());
    for (const auto& estimator : all) {
      const auto label = estimator.label();
      SCOPED_TRACE(label);
      if (estimator.random) {
        const auto [late, early] = per_sample.at(label);
        EXPECT_EQ(static_cast<double>(estimator.evaluations(kSamples)),
                  kSamples * (timestep == 389 ? late : early));
      } else {
        const auto [late, early] = alone.at(label);
        EXPECT_EQ(estimator.evaluations(1), timestep == 389 ? late : early);
      }
    }
  }
}

TEST(ToyEstimators, LookaheadEndsWhereItIsPublishedTo) {
  // The timestep of the last network evaluation.
  const std::map<std::string, std::pair<int64_t, int64_t>> last = {
      {"LA0 0.9", {349, 129}},
      {"LA0 0.8", {309, 119}},
      {"FO 0.5", {189, 69}},
      {"GRPO", {9, 9}},
      {"SQDF2", {195, 75}}};
  for (const auto& [label, ends] : last) {
    for (const int64_t timestep : kToyTimesteps) {
      const auto grid = labelled(label, timestep).grid;
      EXPECT_EQ(grid.front(), timestep + 1) << label;
      EXPECT_EQ(grid[grid.size() - 2],
                1 + (timestep == 389 ? ends.first : ends.second))
          << label;
      EXPECT_EQ(grid.back(), 0) << label;
    }
  }
}

TEST(ToyEstimators, CarryGradientsByThePublishedOmega) {
  struct Golden {
    int64_t timestep;
    double s, step, unit;
  };
  // Printed with eight digits.
  constexpr double kPrinted = 5e-9;
  for (const auto& golden : {Golden{389, 0.45626577, 0.88720195, 0.98799068},
                             Golden{149, 0.27634562, 0.86782055, 0.98628821}}) {
    const auto estimator = labelled("GRPO", golden.timestep);
    const auto first = estimator.plan().transitions(*estimator.path())[0];
    EXPECT_NEAR(first.s, golden.s, kPrinted);
    EXPECT_NEAR(carried_share(first), golden.step, kPrinted);
    EXPECT_NEAR(factor_of(ToyOmega::step, estimator), golden.step, kPrinted);
    EXPECT_NEAR(factor_of(ToyOmega::unit, estimator), golden.unit, kPrinted);
    EXPECT_EQ(factor_of(ToyOmega::one, estimator), 1);
  }
}

TEST(ToyEstimators, OmegaOfDdpmIsItsShortForm) {
  const auto estimator = labelled("GRPO", 389);
  const auto path = estimator.path();
  const auto steps = estimator.plan().transitions(*path);
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    const double a = std::pow(path->signal(steps[i].t), 2);
    const double next = std::pow(path->signal(steps[i].t_next), 2);
    // float64
    EXPECT_NEAR(carried_share(steps[i]),
                std::sqrt(a / next) * (1 - next) / (1 - a), 1e-12);
  }
}

TEST(ToyEstimators, RefuseWhatTheWorldDoesNotHave) {
  for (const int64_t timestep : {-1, 0, 69, 150, 500, 509}) {
    expect_parts(error_of([&] { toy_estimators(timestep); }),
                 {"timestep " + std::to_string(timestep), "79, 89, ... 499"});
  }
  for (const double rho : {-0.1, 1.0, std::nan("")}) {
    EXPECT_THROW(toy_estimators(389, {rho}), UsageError);
  }
  EXPECT_NO_THROW(toy_estimators(79));
  EXPECT_NO_THROW(toy_estimators(499, {0, 0.99}));
}

}  // namespace
}  // namespace rsm
