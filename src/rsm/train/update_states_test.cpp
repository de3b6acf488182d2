#include "rsm/train/update_states.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rsm {
namespace {

using Batches = std::vector<std::vector<int64_t>>;

TEST(UpdateStates, AreAskedInTheirUpdatesBatches) {
  const std::vector<UpdateStates> updates = {
      {{}, {7, 2, 5}}, {{}, {}}, {{}, {1, 9}}};
  EXPECT_EQ(in_the_batches_of(updates, {1, 2, 4, 5, 7, 8, 9}),
            (Batches{{7, 2, 5}, {1, 9}, {4, 8}}));
  EXPECT_EQ(in_the_batches_of(updates, {1, 2, 5, 7, 9}),
            (Batches{{7, 2, 5}, {1, 9}}));
}

TEST(UpdateStates, OutputsComeBackInTheirOrder) {
  const auto y = at::arange(4, at::kFloat).view({4, 1, 1, 1});
  const auto out = in_order(y, {7, 2, 9, 5});
  EXPECT_EQ(out.states, (std::vector<int64_t>{2, 5, 7, 9}));
  EXPECT_TRUE(out.y.flatten().equal(torch::tensor({1.0f, 3.0f, 0.0f, 2.0f})));
}

}  // namespace
}  // namespace rsm
