#include "rsm/base/square_sum.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "rsm/base/random.h"
#include "rsm/base/testing.h"

namespace rsm {
namespace {

class SquareSumOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(SquareSumOn);

TEST_P(SquareSumOn, IsTheSumOfSquares) {
  for (const int64_t count : {0, 1, 4096, 4097, 100000, 20000000}) {
    const auto values = at::full({count}, 3.0F).to(device());
    EXPECT_EQ(square_sum(values), 9.0 * static_cast<double>(count));
  }
  const auto values = counted_normal(1, {3, 70001});
  EXPECT_NEAR(square_sum(values.to(device())),
              values.to(at::kDouble).square().sum().item<double>(), 1e-6);
}

TEST(SquareSum, DoesNotDependOnThreads) {
  const int threads = at::get_num_threads();
  const auto values = counted_normal(2, {3000001});
  std::vector<double> sums;
  for (const int count : {1, 2, 3, 7}) {
    at::set_num_threads(count);
    sums.push_back(square_sum(values));
  }
  at::set_num_threads(threads);
  for (const double sum : sums) EXPECT_EQ(sum, sums[0]);
}

}  // namespace
}  // namespace rsm
