#include "rsm/train/update_log.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** One row of one state with the outputs y = y_old + `apart`. */
struct OneRow {
  explicit OneRow(float apart) {
    const auto one = at::ones({1}, at::kDouble);
    states.y_old = at::zeros({1, 1, 2, 2});
    y = states.y_old + apart;
    rows = {at::zeros({1}, at::kLong),
            at::ones({1, 1, 2, 2}),
            one,
            one,
            one,
            one,
            -one,
            one,
            one,
            one};
  }
  double gap(double clip_range) const {
    return first_gap(row_losses(y, states, rows), y, states, clip_range);
  }

  LossStates states;
  LossRows rows;
  torch::Tensor y;
};

TEST(FirstGap, IsZeroForEqualOutputs) { EXPECT_EQ(OneRow(0).gap(1e-4), 0); }

/** Its own factor is 1 - U (1 + 1 / xi) there, and no ratio. */
TEST(FirstGap, OfAQuadraticTrustIsThatOfItsLogRatio) {
  OneRow row(1e-5f);
  row.rows.importance = RegularisationKnobs::Importance::quadratic;
  row.rows.clip_range = 1e-3;
  EXPECT_NEAR(row.gap(1e-3), 1e-5, 1e-8);
}

TEST(FirstGap, IsToldBelowATenthOfTheClipRangeAndStopsAbove) {
  const OneRow row(1e-5f);
  EXPECT_NEAR(row.gap(1e-3), 1e-5, 1e-8);
  expect_parts(error_of([&] { row.gap(5e-5); }),
               {"[first step]", "log-ratio", "clip range", "batched"});
}

}  // namespace
}  // namespace rsm
