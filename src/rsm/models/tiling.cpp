#include "rsm/models/tiling.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace rsm {
namespace {

torch::Tensor tile_at(const torch::Tensor& latents, const Tiling& tiling,
                      int64_t top, int64_t left) {
  return latents.slice(2, top, top + tiling.side)
      .slice(3, left, left + tiling.side);
}

/** For weights, of which half types hold too few. */
torch::TensorOptions wide(const torch::Tensor& tile) {
  return tile.options().dtype(
      at::promote_types(tile.scalar_type(), at::kFloat));
}

/** `next`, whose first `overlap` pixels along `dim` come in over the last ones
 * of `last`. */
torch::Tensor blended(const torch::Tensor& last, const torch::Tensor& next,
                      int64_t dim, int64_t overlap) {
  const int64_t length = next.size(dim);
  const int64_t extent = std::min({last.size(dim), length, overlap});
  auto weight = at::arange(extent, wide(next)) / extent;
  if (dim == 2) weight = weight.unsqueeze(1);
  const auto from = last.narrow(dim, last.size(dim) - extent, extent);
  const auto to = next.narrow(dim, 0, extent);
  const auto both = from * (1 - weight) + to * weight;
  return at::cat(
      {both.to(next.scalar_type()), next.narrow(dim, extent, length - extent)},
      dim);
}

/** How much of a tile is seen, by its pixels along one side: nothing at first,
 * all from the end of the overlap on, or from the start at the near end. */
torch::Tensor share_of(const Tiling& tiling, int64_t pixels, bool near_end,
                       const torch::TensorOptions& options) {
  const auto pixel = at::arange(pixels, options);
  if (near_end) return at::ones_like(pixel);
  const int64_t last = tiling.overlap * tiling.scale - 1;
  return (pixel / last).clamp(0, 1);
}

}  // namespace

torch::Tensor blend_rows(const torch::Tensor& latents, const Tiling& tiling,
                         const DecodeTile& decode) {
  const int64_t overlap = tiling.overlap * tiling.scale;
  const int64_t kept = tiling.step() * tiling.scale;
  std::vector<torch::Tensor> rows, above;
  for (int64_t top = 0; top < latents.size(2); top += tiling.step()) {
    std::vector<torch::Tensor> row, seen;
    for (int64_t left = 0; left < latents.size(3); left += tiling.step()) {
      auto tile = decode(tile_at(latents, tiling, top, left));
      if (top > 0) tile = blended(above[row.size()], tile, 2, overlap);
      if (left > 0) tile = blended(row.back(), tile, 3, overlap);
      row.push_back(tile);
      seen.push_back(tile.slice(2, 0, kept).slice(3, 0, kept));
    }
    rows.push_back(at::cat(seen, 3));
    above = std::move(row);
  }
  return at::cat(rows, 2);
}

torch::Tensor blend_on_canvas(const torch::Tensor& latents,
                              const Tiling& tiling, const DecodeTile& decode) {
  const int64_t scale = tiling.scale;
  auto canvas = at::zeros(
      {latents.size(0), 3, latents.size(2) * scale, latents.size(3) * scale},
      wide(latents));
  for (int64_t top = 0; top < latents.size(2); top += tiling.step()) {
    for (int64_t left = 0; left < latents.size(3); left += tiling.step()) {
      const auto tile = decode(tile_at(latents, tiling, top, left));
      const int64_t height = tile.size(2), width = tile.size(3);
      const auto options = wide(tile);
      const auto weight =
          share_of(tiling, height, top == 0, options).view({-1, 1}) *
          share_of(tiling, width, left == 0, options);
      auto place =
          canvas.narrow(2, top * scale, height).narrow(3, left * scale, width);
      place.copy_(weight * tile + (1 - weight) * place);
    }
  }
  return canvas.to(latents.scalar_type());
}

}  // namespace rsm
