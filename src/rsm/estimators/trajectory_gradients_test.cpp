#include "rsm/estimators/trajectory_gradients.h"

#include <gtest/gtest.h>

#include "rsm/estimators/gradient_testing.h"

namespace rsm {
namespace {

/** As an autoencoder's, of which nothing but the size is asked. */
class LargePixels : public SquashedPixels {
 public:
  int64_t scale() const override { return 8; }
};

TEST(GradientsAtOnce, AreOfAsManyPixelsAsOneLargePicture) {
  const auto of = [](const Decoder& decoder, int64_t side) {
    return gradients_at_once(decoder, at::empty({9, 4, side, side}));
  };
  const LargePixels large;
  EXPECT_EQ(of(large, 96), 1);
  EXPECT_EQ(of(large, 64), 1);
  EXPECT_EQ(of(large, 32), 4);
  EXPECT_EQ(of(large, 8), 64);
  EXPECT_EQ(of(SquashedPixels(), 1), 64);
  EXPECT_EQ(of(SquashedPixels(), 32), 64);
  EXPECT_EQ(of(SquashedPixels(), 128), 16);
}

}  // namespace
}  // namespace rsm
