#include "rsm/data/niqe.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/data/scene_statistics.h"
#include "rsm/io/mat_file.h"

namespace rsm {
namespace {

constexpr int64_t kBlock = 96;          // pixels of a side
constexpr int64_t kBlockFeatures = 36;  // of both scales
constexpr double kBlockContrast = 1;    // grey levels

/** Down and to the right, by which a neighbour is moved. */
constexpr std::array<std::pair<int64_t, int64_t>, 4> kBlockMoves = {
    {{0, 1}, {1, 0}, {1, 1}, {1, -1}}};

/** [H,W] in blocks of a side: [N,side,side], row by row. */
torch::Tensor blocks_of(const torch::Tensor& grey, int64_t side) {
  const int64_t rows = grey.size(0) / side, columns = grey.size(1) / side;
  return grey.view({rows, side, columns, side})
      .permute({0, 2, 1, 3})
      .reshape({-1, side, side});
}

/** [N,18] of one scale. */
torch::Tensor block_features(const torch::Tensor& blocks) {
  const auto fit = fit_asymmetric_gaussian(blocks.flatten(1));
  std::vector<torch::Tensor> out = {
      fit.shape, (fit.left + fit.right) / 2 * fit.scale_factor()};
  for (const auto& [down, right] : kBlockMoves) {
    // A block's edge meets its opposite one, as in the release.
    const auto product = blocks * at::roll(blocks, {down, right}, {1, 2});
    const auto pair = fit_asymmetric_gaussian(product.flatten(1));
    const auto factor = pair.scale_factor();
    out.insert(out.end(), {pair.shape, pair.mean(), pair.left * factor,
                           pair.right * factor});
  }
  return at::stack(out, 1);
}

}  // namespace

torch::Tensor niqe_features(const torch::Tensor& picture) {
  auto grey = grey_bytes(picture);
  const int64_t height = grey.size(0) / kBlock * kBlock;
  const int64_t width = grey.size(1) / kBlock * kBlock;
  if (height == 0 || width == 0) {
    return at::empty({0, kBlockFeatures}, at::kDouble);
  }
  grey = grey.slice(0, 0, height).slice(1, 0, width).contiguous();
  // MATLAB's imresize: bicubic with antialiasing.
  const auto half = at::_upsample_bicubic2d_aa(grey.view({1, 1, height, width}),
                                               {height / 2, width / 2},
                                               /*align_corners=*/false)
                        .view({height / 2, width / 2});
  return at::cat({block_features(blocks_of(
                      contrast_normalised(grey, kBlockContrast), kBlock)),
                  block_features(blocks_of(
                      contrast_normalised(half, kBlockContrast), kBlock / 2))},
                 1);
}

Niqe::Niqe(const std::string& file) {
  const auto read = read_mat(file);
  const auto find = [&](const std::string& name, int64_t count) {
    const auto found = read.find(name);
    RSM_CHECK(found != read.end() && found->second.numel() == count, "[niqe] ",
              file, found == read.end() ? " has no " : " has another size of ",
              name, "; ", count,
              " numbers of float64 are needed: name NIQE's "
              "niqe_image_params.mat");
    return found->second;
  };
  mean_ = find("pop_mu", kBlockFeatures).flatten();
  covariance_ = find("pop_cov", kBlockFeatures * kBlockFeatures)
                    .view({kBlockFeatures, kBlockFeatures});
}

double Niqe::of(const torch::Tensor& picture) const {
  const auto all = niqe_features(picture);
  const auto whole = all.isfinite().all(1).nonzero().flatten();
  if (whole.numel() < 2) return NAN;
  const auto features = all.index_select(0, whole);
  const auto away = features.mean(0) - mean_;
  const auto spread = (covariance_ + at::cov(features.t())) / 2;
  const auto inverse = at::linalg_pinv(spread);
  return std::sqrt(at::dot(away, at::mv(inverse, away)).item<double>());
}

}  // namespace rsm
