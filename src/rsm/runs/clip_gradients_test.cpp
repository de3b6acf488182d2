#include "rsm/runs/clip_gradients.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/random.h"
#include "rsm/base/testing.h"

namespace rsm {
namespace {

class ClipGradientsOn : public OnDevice {
 protected:
  /** Of norm 13: 3, 4 and 12. */
  std::vector<torch::Tensor> gradients() const {
    return {at::tensor({3.0F, 0.0F}).to(device()),
            at::full({2, 2}, 2.0F).to(device()),
            at::tensor({12.0F}).to(device())};
  }
};
RSM_ON_EVERY_DEVICE(ClipGradientsOn);

TEST_P(ClipGradientsOn, ScalesAllInPlaceToTheNormThatIsAllowed) {
  auto g = gradients();
  const auto before = g;
  EXPECT_DOUBLE_EQ(clip_in_place(g, 6.5), 13);
  EXPECT_NEAR(g[0][0].item<double>(), 1.5, 1e-6);
  EXPECT_NEAR(g[2][0].item<double>(), 6, 1e-6);
  for (size_t i = 0; i < g.size(); ++i) {
    EXPECT_EQ(g[i].data_ptr(), before[i].data_ptr());
  }
  EXPECT_NEAR(clip_in_place(g, 6.5), 6.5, 1e-5);
}

TEST_P(ClipGradientsOn, LeavesShortAndNonFiniteOnesBitForBit) {
  auto g = gradients();
  EXPECT_DOUBLE_EQ(clip_in_place(g, 14), 13);
  for (size_t i = 0; i < g.size(); ++i) {
    EXPECT_TRUE(g[i].equal(gradients()[i]));
  }
  g[1].view(-1)[2] = NAN;
  EXPECT_TRUE(std::isnan(clip_in_place(g, 1)));
  EXPECT_TRUE(g[0].equal(gradients()[0]));
}

}  // namespace
}  // namespace rsm
