#include "rsm/models/tiling.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>
#include <vector>

#include "rsm/models/testing.h"

namespace rsm {
namespace {

// Where a pixel depends on its latent alone, tiles change nothing.
TEST(Tiling, OfALocalDecoderGivesTheWholePicture) {
  const Tiling tiling = {8, 2, 3};
  const auto decode = [](const torch::Tensor& z) {
    return at::upsample_nearest2d(z, {3 * z.size(2), 3 * z.size(3)}).sin();
  };
  const std::vector<std::pair<int64_t, int64_t>> sizes = {
      {8, 8}, {9, 14}, {6, 23}, {3, 2}, {20, 13}};
  for (const auto& [h, w] : sizes) {
    const auto z = test_normal(1, {2, 3, h, w}).requires_grad_(true);
    const auto whole = decode(z);
    for (const auto& blend : {blend_rows, blend_on_canvas}) {
      const auto tiled = blend(z, tiling, decode);
      ASSERT_EQ(tiled.sizes(), whole.sizes());
      EXPECT_LT(relative(tiled, whole), 1e-6) << h << " " << w;
      // So do their gradients.
      const auto weight = test_normal(2, whole.sizes());
      const auto gradient = [&](const torch::Tensor& out) {
        return torch::autograd::grad({(out * weight).sum()}, {z})[0];
      };
      EXPECT_LT(relative(gradient(tiled), gradient(decode(z))), 1e-5);
    }
  }
}

// A decoder that says which tile a pixel is from: the seams are ramps.
TEST(Tiling, BlendsLinearly) {
  const Tiling tiling = {8, 2, 4};
  for (const auto& blend : {blend_rows, blend_on_canvas}) {
    double number = 0;
    const auto out =
        blend(at::zeros({1, 3, 4, 12}), tiling, [&](const torch::Tensor& z) {
          return at::full({1, 3, 4 * z.size(2), 4 * z.size(3)}, number++);
        });
    EXPECT_EQ(number, 2);
    const auto row = out[0][0][0];
    EXPECT_EQ(row.slice(0, 0, 24).abs().max().item<double>(), 0);
    EXPECT_EQ(row.slice(0, 32).min().item<double>(), 1);
    const auto ramp = row.slice(0, 24, 32).diff();
    EXPECT_LT((ramp - ramp[0]).abs().max().item<double>(), 1e-6);
    EXPECT_GT(ramp[0].item<double>(), 0.1);
  }
}

}  // namespace
}  // namespace rsm
