#include "rsm/analysis/importance_spread.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

constexpr int64_t kPaths = 4000;

Rollout paths_of(const PathPointer& path) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  return roll_out_with_gaussian(path, plan_of(*path, knobs, 6),
                                request_for(1, kPaths));
}

/** Outputs as far from those that drew the rollout as makes the KL of each
 * step's whole latent `kl`. */
torch::Tensor moved(const Rollout& rollout, double kl) {
  auto y = rollout.y.clone();
  const auto elements = static_cast<double>(y[0].numel());
  for (int64_t s = 0; s < rollout.states(); ++s) {
    y[s] += std::sqrt(2 * kl / elements) / rollout.transition_of(s).w();
  }
  return y;
}

TEST(ImportanceSpread, IsThatOfALogNormalNumber) {
  constexpr double kKl = 0.1;
  for (const auto& path : both_paths()) {
    const auto rollout = paths_of(path);
    const auto steps = importance_spread(rollout, moved(rollout, kKl));
    ASSERT_EQ(steps.size(), 5u);
    for (const auto& step : steps) {
      EXPECT_EQ(step.rows, kPaths);
      EXPECT_NEAR(step.kl, kKl, 1e-4 * kKl);  // outputs in float32
      // Four errors of a variance of 4000 numbers: sqrt(2 / n) of normal ones,
      // about twice that of log-normal ones with this spread.
      EXPECT_NEAR(step.linear, 2 * kKl, 0.09 * 2 * kKl) << step.step;
      EXPECT_NEAR(step.ratio, std::expm1(2 * kKl), 0.2 * std::expm1(2 * kKl))
          << step.step;
      EXPECT_NEAR(step.ratio_expected, std::expm1(2 * kKl), 1e-4);
    }
  }
}

TEST(ImportanceSpread, OfTheRatioGrowsPastAnyBound) {
  const auto path = flow_path();
  const auto rollout = paths_of(path);
  const auto near = importance_spread(rollout, moved(rollout, 0.1));
  const auto far = importance_spread(rollout, moved(rollout, 4));
  for (size_t i = 0; i < far.size(); ++i) {
    EXPECT_GT(far[i].ratio_expected, 100 * far[i].linear);
    EXPECT_NEAR(far[i].linear, 40 * near[i].linear, 0.01 * far[i].linear);
  }
}

/** What is averaged over latent elements hardly tells the forms apart. */
TEST(ImportanceSpread, ByElementIsTheSameInBothForms) {
  const auto rollout = paths_of(diffusion_path());
  for (const auto& step : importance_spread(rollout, moved(rollout, 0.1))) {
    const double elements = 18;
    EXPECT_NEAR(step.linear_by_element * elements * elements, step.linear,
                1e-9);
    EXPECT_NEAR(step.ratio_by_element, step.linear_by_element,
                0.1 * step.linear_by_element);
  }
}

TEST(ImportanceSpread, IsNoneWhereNothingMoved) {
  const auto rollout = paths_of(flow_path());
  for (const auto& step : importance_spread(rollout, rollout.y)) {
    EXPECT_EQ(step.ratio, 0);
    EXPECT_EQ(step.linear, 0);
  }
  EXPECT_THROW(importance_spread(rollout, rollout.y.slice(0, 1)), Error);
}

TEST(ImportanceSpread, IsWrittenAndDrawn) {
  const auto rollout = paths_of(flow_path());
  const auto steps = importance_spread(rollout, moved(rollout, 0.1));
  const auto table = importance_table(steps);
  EXPECT_EQ(table.rows.size(), steps.size());
  for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.head.size());
  EXPECT_EQ(report::tag_problem(importance_plot(steps)), "");
}

}  // namespace
}  // namespace rsm
