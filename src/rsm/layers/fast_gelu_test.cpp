#include "rsm/layers/fast_gelu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace rsm {
namespace {

/** In float64, without the cancellation of 1 + tanh far below 0. */
torch::Tensor exact(const torch::Tensor& x) {
  const auto v = x.to(at::kDouble);
  const double scale = 2 * std::sqrt(2 / std::numbers::pi);
  return v / (1 + at::exp(-scale * (v + 0.044715 * v * v * v)));
}

TEST(FastGelu, IsComparedWithTorchsGelu) {
  const auto x = at::linspace(-4, 4, 999, at::kDouble);
  EXPECT_TRUE(at::allclose(exact(x), at::gelu(x, "tanh"), 0, 1e-14));
}

TEST(FastGelu, IsGeluToRounding) {
  // An odd number of values, so that the last vector is not full.
  auto x =
      at::cat({at::linspace(-40, 40, 100003), at::linspace(-1e-3, 1e-3, 99),
               at::tensor({0.0F, -0.0F, 1e30F, -1e30F})});
  const auto expected = exact(x);
  const auto scale = x.to(at::kDouble).abs() + 1e-30;
  auto y = x.clone();
  fast_gelu_(y);
  EXPECT_LT(((y - expected).abs() / scale).max().item<double>(), 2e-6);
}

TEST(FastGelu, RoundsBfloat16ToTheNearest) {
  // Every finite bfloat16 of moderate size.
  const auto x = at::linspace(-30, 30, 60001).to(at::kBFloat16);
  auto y = x.clone();
  fast_gelu_(y);
  // At most one value next to the exact one's nearest, and rarely that.
  const auto nearest = exact(x).to(at::kBFloat16).to(at::kDouble);
  const auto off =
      (y.to(at::kDouble) - nearest).abs() / (nearest.abs() + 1e-30);
  EXPECT_LE(off.max().item<double>(), std::ldexp(1.0, -7));
  EXPECT_LT((off > 1e-4).to(at::kDouble).mean().item<double>(), 0.01);
}

TEST(FastGelu, LeavesOtherLayoutsAndTypesToTorch) {
  const auto x = at::linspace(-3, 3, 24).view({4, 6});
  auto strided = x.t();
  fast_gelu_(strided);
  EXPECT_TRUE(at::allclose(strided, at::gelu(x, "tanh").t()));
  auto wide = x.to(at::kDouble);
  fast_gelu_(wide);
  EXPECT_TRUE(at::allclose(wide, exact(x)));
}

}  // namespace
}  // namespace rsm
