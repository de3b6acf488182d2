#include "rsm/base/picture_knobs.h"

#include <gtest/gtest.h>

#include <vector>

namespace rsm {
namespace {

/** Of the releases of DiffusionNFT (types 1 and 2) and AWM. */
TEST(OldKnobs, DecayAsPublished) {
  const OldKnobs first = {.start = 0, .rate = 1e-3, .cap = 0.5};
  const OldKnobs second = {
      .start = 0, .rate = 0.0075, .cap = 0.999, .from = 75};
  const OldKnobs awm = {.start = 0, .rate = 1e-3, .cap = 0.3};
  struct Row {
    int64_t updates;
    double first, second, awm;
  };
  const std::vector<Row> table = {{0, 0, 0, 0},
                                  {1, 0.001, 0, 0.001},
                                  {10, 0.01, 0, 0.01},
                                  {75, 0.075, 0, 0.075},
                                  {76, 0.076, 0.0075, 0.076},
                                  {100, 0.1, 0.1875, 0.1},
                                  {150, 0.15, 0.5625, 0.15},
                                  {200, 0.2, 0.9375, 0.2},
                                  {208, 0.208, 0.9975, 0.208},
                                  {209, 0.209, 0.999, 0.209},
                                  {300, 0.3, 0.999, 0.3},
                                  {500, 0.5, 0.999, 0.3},
                                  {1000, 0.5, 0.999, 0.3}};
  for (const auto& row : table) {
    EXPECT_NEAR(first.decay(row.updates), row.first, 1e-12) << row.updates;
    EXPECT_NEAR(second.decay(row.updates), row.second, 1e-12) << row.updates;
    EXPECT_NEAR(awm.decay(row.updates), row.awm, 1e-12) << row.updates;
  }
  EXPECT_FALSE(OldKnobs().is_kept());
}

}  // namespace
}  // namespace rsm
