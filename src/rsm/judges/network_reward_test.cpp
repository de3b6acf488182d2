#include "rsm/judges/network_reward.h"

#include <gtest/gtest.h>

#include <vector>

#include "rsm/judges/testing.h"

namespace rsm {
namespace {

/** How many pictures it is given at once. */
class CountingReward : public NetworkReward {
 public:
  CountingReward() : NetworkReward(spec_of("counting")) {}

  mutable std::vector<int64_t> tiles;

 protected:
  torch::Tensor judged(const torch::Tensor& images,
                       const Prompts& prompts) const override {
    EXPECT_EQ(images.size(0), std::ssize(prompts));
    tiles.push_back(images.size(0));
    return images.flatten(1).sum(1);
  }
};

TEST(NetworkReward, OneThatCarriesAGradientIsNotFilledUpWithCopies) {
  const CountingReward reward;
  const auto judge = [&](int64_t count, bool gradient) {
    const auto images = at::ones({count, 3, 2, 2}).requires_grad_(gradient);
    EXPECT_TRUE(reward.value_of(images, Prompts(count))
                    .equal(at::full({count}, 12.0F)));
  };
  judge(1, true);
  judge(1, false);
  judge(9, true);
  EXPECT_EQ(reward.tiles, (std::vector<int64_t>{1, 8, 8, 8}));
}

}  // namespace
}  // namespace rsm
