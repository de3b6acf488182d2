#include "rsm/data/picture_watch.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Of each of red, green and blue. */
constexpr int64_t kCells = 4;

/** [B] share of neighbours that differ. */
torch::Tensor edge_share(const torch::Tensor& images) {
  const auto luminance = 0.299 * images.select(1, 0) +
                         0.587 * images.select(1, 1) +
                         0.114 * images.select(1, 2);
  const auto count = [&](int64_t dim) {
    return (luminance.diff(1, dim).abs() > kEdge)
        .sum({1, 2}, false, at::kDouble);
  };
  const auto height = luminance.size(1), width = luminance.size(2);
  const auto pairs = (height - 1) * width + height * (width - 1);
  return (count(1) + count(2)) /
         static_cast<double>(std::max<int64_t>(pairs, 1));
}

/** [B] bits. */
torch::Tensor colour_entropy(const torch::Tensor& images) {
  const auto cell =
      (images * kCells).floor().clamp(0, kCells - 1).to(at::kLong).flatten(2);
  const auto index = (cell.select(1, 0) * kCells + cell.select(1, 1)) * kCells +
                     cell.select(1, 2);
  const auto ones = at::ones(index.sizes(), images.options().dtype(at::kFloat));
  const auto counts =
      at::zeros({images.size(0), kCells * kCells * kCells}, ones.options())
          .scatter_add(1, index, ones)
          .to(at::kDouble);
  const auto share = counts / static_cast<double>(index.size(1));
  return -at::xlogy(share, share).sum(1) / std::log(2.0);
}

}  // namespace

PictureWatch watch_pictures(const torch::Tensor& images) {
  RSM_CHECK(images.dim() == 4 && images.size(1) == 3 && images.numel() > 0,
            "[watch] pictures of shape ", images.sizes(),
            "; [B,3,H,W] is needed");
  std::vector<torch::Tensor> edges, colours, saturation;
  // One by one: counting cells takes several times a picture's memory.
  for (const auto& picture : images.split(1)) {
    edges.push_back(edge_share(picture));
    colours.push_back(colour_entropy(picture));
    const auto chroma = picture.amax(1) - picture.amin(1);
    saturation.push_back(chroma.mean({1, 2}, false, at::kDouble));
  }
  return {doubles_of(at::cat(edges)), doubles_of(at::cat(colours)),
          doubles_of(at::cat(saturation))};
}

}  // namespace rsm
