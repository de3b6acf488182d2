#include "rsm/compare/curves.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rsm::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
/** Interpolation of numbers around 1 rounds a few times. */
constexpr double kLineRounding = 1e-14;

/** y = slope x + offset at these places. */
Curve line(double slope, double offset, std::vector<double> x) {
  Curve out = {std::move(x), {}};
  for (const double at : out.x) out.y.push_back(slope * at + offset);
  return out;
}

TEST(ComparisonCurves, InterpolationIsExactOnLines) {
  for (const double slope : {-2.0, 0.0, 0.3, 7.0}) {
    const auto curve = line(slope, 0.4, {0, 0.1, 0.5, 0.7, 2});
    for (const double x : {0.0, 0.05, 0.1, 0.3, 0.69, 1.5, 2.0}) {
      EXPECT_NEAR(value_at(curve, x), slope * x + 0.4, kLineRounding);
    }
  }
}

TEST(ComparisonCurves, PointsAreTakenExactly) {
  const auto curve = line(0.1, 0.3, {0, 0.1, 0.3});
  for (size_t i = 0; i < curve.x.size(); ++i) {
    EXPECT_EQ(value_at(curve, curve.x[i]), curve.y[i]);
  }
}

TEST(ComparisonCurves, TheFirstOfSeveralCrossingsCounts) {
  const auto crossing = first_crossing({0, 2, 1, 3}, 1.5);
  ASSERT_TRUE(crossing);
  EXPECT_EQ(crossing->from, 0u);
  EXPECT_EQ(crossing->to, 1u);
  EXPECT_DOUBLE_EQ(crossing->share, 0.75);
  EXPECT_DOUBLE_EQ(crossing->at({10, 20, 30, 40}), 17.5);
}

TEST(ComparisonCurves, LevelsBelowTheStartAreReachedAtOnce) {
  EXPECT_EQ(first_crossing({5, 6}, 4)->at({10, 20}), 10);
  // But the value at an x before the start is not known.
  EXPECT_TRUE(std::isnan(value_at({{5, 6}, {1, 2}}, 4)));
}

TEST(ComparisonCurves, WhatIsNeverReachedHasNoCrossing) {
  EXPECT_FALSE(first_crossing({0, 1, 0.5}, 1.1));
  EXPECT_FALSE(first_crossing({}, 0));
  EXPECT_FALSE(first_crossing({kNan}, 0));
  EXPECT_FALSE(first_crossing({0, 1}, kNan));
}

TEST(ComparisonCurves, UnknownEntriesArePassedOver) {
  const auto crossing = first_crossing({kNan, 0, kNan, 2}, 1);
  ASSERT_TRUE(crossing);
  EXPECT_DOUBLE_EQ(crossing->at({0, 1, 2, 3}), 2);
}

TEST(ComparisonCurves, TheMeanOfLinesIsALineWhereverTheirPointsLie) {
  const auto mean = mean_curve({line(1, 0, {0, 1, 4}), line(3, 2, {0, 3, 5})});
  EXPECT_EQ(mean.x, (std::vector<double>{0, 1, 3, 4}));
  for (size_t i = 0; i < mean.x.size(); ++i) {
    EXPECT_NEAR(mean.y[i], 2 * mean.x[i] + 1, kLineRounding);
  }
}

TEST(ComparisonCurves, TheMeanOfOneCurveIsItself) {
  const auto one = line(0.3, 0.1, {0, 1, 4});
  EXPECT_EQ(mean_curve({one}).x, one.x);
  EXPECT_EQ(mean_curve({one}).y, one.y);
}

TEST(ComparisonCurves, CurvesOfOnePointDoNotShortenTheMean) {
  const auto one = line(0.3, 0.1, {0, 1, 4});
  EXPECT_EQ(mean_curve({one, line(0, 5, {0})}).y, one.y);
  EXPECT_TRUE(mean_curve({line(0, 5, {0})}).x.empty());
  EXPECT_TRUE(mean_curve({}).x.empty());
}

TEST(ComparisonCurves, SpreadHasTheTextbookNumbers) {
  const auto spread = statistics_of({4, kNan, 1, 3, 2});
  EXPECT_EQ(spread.count, 4);
  EXPECT_DOUBLE_EQ(spread.mean, 2.5);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(spread.median, 2.5);
  EXPECT_EQ(spread.low, 1);
  EXPECT_EQ(spread.high, 4);
}

TEST(ComparisonCurves, OneNumberHasNoDeviationAndNoneHasNothing) {
  EXPECT_EQ(statistics_of({3}).median, 3);
  EXPECT_TRUE(std::isnan(statistics_of({3}).deviation));
  EXPECT_EQ(statistics_of({kNan}).count, 0);
  EXPECT_TRUE(std::isnan(statistics_of({kNan}).mean));
}

TEST(ComparisonCurves, WhatNeverComesIsLaterThanAnything) {
  EXPECT_EQ(statistics_of({kInf, 5, 3}).median, 5);
  EXPECT_EQ(statistics_of({kInf, 5, 3}).high, kInf);
  EXPECT_EQ(statistics_of({kInf, 5, kInf}).median, kInf);
  EXPECT_EQ(statistics_of({kInf, 5}).median, kInf);
}

}  // namespace
}  // namespace rsm::report
