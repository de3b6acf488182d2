#include "rsm/objective/strength.h"

#include <gtest/gtest.h>

#include <numeric>

#include "rsm/base/error.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using Shape = StrengthKnobs::Shape;

struct Row {
  double tempflow, pcpo, guard;
};

/** g(t) of tempflow, pcpo, guard and fairclip2 on the 10-step schedule. */
const std::vector<Row> kStrength = {
    {1.575, 3.02065, 17.5568},     {1.67167, 2.57514, 15.882},
    {1.20634, 1.85832, 9.63321},   {1.00327, 1.5455, 6.62315},
    {0.881537, 1.35797, 4.71531},  {0.793794, 1.22281, 3.35588},
    {0.717908, 1.10591, 2.32432},  {0.634515, 0.977445, 1.50945},
    {0.507061, 0.781107, 0.837397}};

/** g M of base, tempflow, pcpo, guard. */
const std::vector<std::vector<double>> kGuidance = {
    {0.0398707, 0.0627963, 0.120435, 0.7},
    {0.0582416, 0.0973606, 0.14998, 0.92499},
    {0.0692925, 0.0835905, 0.128768, 0.667509},
    {0.0838184, 0.0840924, 0.129541, 0.555142},
    {0.103447, 0.0911922, 0.140478, 0.487784},
    {0.130884, 0.103895, 0.160046, 0.439232},
    {0.170907, 0.122695, 0.189007, 0.397242},
    {0.2326, 0.147588, 0.227354, 0.351098},
    {0.335055, 0.169893, 0.261714, 0.280574}};

/** The same, normalised over the nine trained steps. */
const std::vector<std::vector<double>> kNormalised = {
    {0.032571, 0.065202, 0.0799002, 0.145725},
    {0.0475785, 0.10109, 0.099501, 0.192563},
    {0.0566062, 0.0867928, 0.0854281, 0.138961},
    {0.0684726, 0.0873139, 0.0859411, 0.115569},
    {0.0845074, 0.0946857, 0.093197, 0.101546},
    {0.106922, 0.107875, 0.106179, 0.0914387},
    {0.139617, 0.127396, 0.125393, 0.0826973},
    {0.190015, 0.153242, 0.150833, 0.0730911},
    {0.273712, 0.176402, 0.173628, 0.0584094}};

const std::vector<Shape> kShapes = {Shape::constant, Shape::noise,
                                    Shape::proportional, Shape::sigma};

TEST(Strength, ReproducesPublishedTable) {
  const auto steps = ten_steps();
  for (size_t i = 0; i < kStrength.size(); ++i) {
    expect_digits(strength({Shape::constant}, steps[i]), 1);
    expect_digits(strength({Shape::noise}, steps[i]), kStrength[i].tempflow);
    expect_digits(strength({Shape::proportional}, steps[i]), kStrength[i].pcpo);
    expect_digits(strength({Shape::sigma}, steps[i]), kStrength[i].guard);
  }
}

TEST(Strength, ScaleMultiplies) {
  for (const auto shape : kShapes) {
    for (const auto& step : ten_steps()) {
      EXPECT_DOUBLE_EQ(strength({shape, 3}, step), 3 * strength({shape}, step));
    }
  }
}

TEST(Strength, NeedsAStochasticStep) {
  const auto ode = flow_ode_step(FlowMatchSchedule{}.times(10), 3);
  EXPECT_THROW(strength({Shape::constant}, ode), Error);
}

TEST(Strength, NoiseScaleIsOneOverTheMeanNoise) {
  double mean = 0;
  for (int i = 0; i < 9; ++i) mean += ten_steps()[i].s / 9;
  // The published constant is rounded to three digits.
  EXPECT_NEAR(kNoiseScale * mean, 1, 1e-3);
}

TEST(GuidanceStrength, ReproducesPublishedTable) {
  const auto steps = ten_steps();
  for (size_t i = 0; i < kGuidance.size(); ++i) {
    for (size_t shape = 0; shape < kShapes.size(); ++shape) {
      expect_digits(2 * guidance_strength({kShapes[shape]}, steps[i]),
                    kGuidance[i][shape]);
    }
  }
}

TEST(GuidanceStrength, FollowsClosedFormsBelowTimeOne) {
  const auto steps = ten_steps();
  for (int i = 1; i < 10; ++i) {
    const auto& step = steps[i];
    // (1 + a^2 / 2) = 1.245; rounding of float64 only.
    EXPECT_NEAR(2 * guidance_strength({Shape::constant}, step),
                1.245 * step.dt(), 1e-14);
    EXPECT_NEAR(2 * guidance_strength({Shape::sigma}, step), 1.245 * step.s,
                1e-14);
    EXPECT_NEAR(guidance_strength({Shape::noise}, step) /
                    guidance_strength({Shape::proportional}, step),
                kNoiseScale * 1.245 / kProportionalScale, 1e-12);
  }
}

TEST(NormalisedH, ReproducesPublishedTable) {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::rollout;
  for (size_t shape = 0; shape < kShapes.size(); ++shape) {
    method.strength.shape = kShapes[shape];
    const auto h = normalised_h(method, ten_steps());
    ASSERT_EQ(h.size(), 10u);
    for (size_t i = 0; i < 9; ++i) expect_digits(h[i], kNormalised[i][shape]);
    EXPECT_EQ(h[9], 0);
  }
}

TEST(NormalisedH, IsZeroWithoutBranchesAndSumsToOne) {
  Method method;
  method.strength.shape = Shape::sigma;
  method.estimator.branches = {6, 6, 8, 10, 0, 0, 0, 0, 0, 6};
  const auto h = normalised_h(method, ten_steps());
  const std::vector<double> expected = {0.245818, 0.324827, 0.234408, 0.194948};
  for (size_t i = 0; i < 4; ++i) expect_digits(h[i], expected[i]);
  for (size_t i = 4; i < 10; ++i) EXPECT_EQ(h[i], 0);
  EXPECT_NEAR(std::accumulate(h.begin(), h.end(), 0.0), 1, 1e-14);
}

TEST(NormalisedH, DoesNotDependOnTheNumberOfBranches) {
  Method few, many;
  few.estimator.branches = {2, 2, 2, 2, 2, 2, 2, 2, 2};
  many.estimator.branches = {3, 3, 4, 5, 6, 7, 7, 8, 11};
  EXPECT_EQ(normalised_h(few, ten_steps()), normalised_h(many, ten_steps()));
}

TEST(RowsAt, AreNoneAtTheLastStep) {
  EstimatorKnobs knobs;
  knobs.branches = {6, 6, 8, 10, 0, 0, 0, 0, 0, 6};
  EXPECT_EQ(knobs.rows_at(3, 10), 10);
  EXPECT_EQ(knobs.rows_at(9, 10), 0);
  knobs.source = EstimatorKnobs::Source::rollout;
  EXPECT_EQ(knobs.rows_at(9, 10), 0);
  EXPECT_EQ(knobs.rows_at(8, 10), 1);
}

}  // namespace
}  // namespace rsm
