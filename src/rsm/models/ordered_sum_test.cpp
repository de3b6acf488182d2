#include "rsm/models/ordered_sum.h"

#include <gtest/gtest.h>

#include "rsm/base/ranks_testing.h"

namespace rsm {
namespace {

std::vector<torch::Tensor> gradient_of(int64_t tile) {
  const auto row = at::arange(12, at::kFloat) * (tile + 0.3);
  return {at::sin(row).view({3, 4}) * (tile + 1), at::cos(row).slice(0, 0, 5)};
}

TEST(TilesInARound, AreAShareOrWhatMayBeHeld) {
  EXPECT_EQ(tiles_in_a_round(9, 4, 2, 100), 3);
  EXPECT_EQ(tiles_in_a_round(9, 1, 2, 100), 9);
  const int64_t gigabyte = int64_t{1} << 30;
  EXPECT_EQ(tiles_in_a_round(90, 4, 2, gigabyte), 2);
  EXPECT_EQ(tiles_in_a_round(90, 4, 2, gigabyte / 16), 8);
  EXPECT_EQ(tiles_in_a_round(1, 4, 2, gigabyte), 1);
}

TEST(SumOverRanks, IsOrderedSumOnAnyNumberOfThem) {
  for (const int64_t tiles : {1, 3, 8}) {
    OrderedSum sole;
    for (int64_t tile = tiles; tile-- > 0;) sole.add(tile, gradient_of(tile));
    const auto whole = sole.take();
    for (const int64_t size : {1, 2, 3, 4}) {
      ThreadRanks::run(size, [&](Communicator& ranks) {
        const auto sum = sum_over_ranks(
            ranks, tiles, 1, gradient_of(0), [&](Share own, const auto& take) {
              for (int64_t tile = own.last; tile-- > own.first;) {
                take(tile, gradient_of(tile));
              }
            });
        ASSERT_EQ(sum.size(), whole.size());
        for (size_t i = 0; i < sum.size(); ++i) {
          EXPECT_TRUE(at::equal(sum[i], whole[i]));
        }
      });
    }
  }
}

}  // namespace
}  // namespace rsm
