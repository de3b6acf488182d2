#include "rsm/base/square_sum.h"

namespace rsm {
namespace {

constexpr int64_t kRow = 4096;  // summed by one thread

}  // namespace

torch::Tensor square_sum_of(const torch::Tensor& values) {
  auto left = values.to(at::kDouble).square().flatten();
  while (left.numel() > kRow) {
    const int64_t short_of = (kRow - left.numel() % kRow) % kRow;
    if (short_of > 0) left = at::constant_pad_nd(left, {0, short_of});
    left = left.view({-1, kRow}).sum(1);
  }
  return left.sum();
}

double square_sum(const torch::Tensor& values) {
  return square_sum_of(values).item<double>();
}

}  // namespace rsm
