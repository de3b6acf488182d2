#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace rsm {

/** Square tiles of latents that overlap their neighbours; those at the far ends
 * may be smaller. */
struct Tiling {
  int64_t side = 64;     ///< in latents
  int64_t overlap = 16;  ///< in latents
  int64_t scale = 8;     ///< pixels of a latent's side

  int64_t step() const { return side - overlap; }
};

using DecodeTile = std::function<torch::Tensor(const torch::Tensor&)>;

/** Latents [B,C,h,w] -> pictures [B,3,h*scale,w*scale], tile by tile. Carries
 * gradients where grad mode is on. Where a tile overlaps those above and to the
 * left, it takes over from them linearly.
 *
 * As diffusers' AutoencoderKL.tiled_decode: from the tile above first, then
 * from the one to the left, both as they are already blended. */
torch::Tensor blend_rows(const torch::Tensor& latents, const Tiling& tiling,
                         const DecodeTile& decode);

/** As diffusers' AutoencoderTiny._tiled_decode: by the product of both weights,
 * from the picture as it stands. */
torch::Tensor blend_on_canvas(const torch::Tensor& latents,
                              const Tiling& tiling, const DecodeTile& decode);

}  // namespace rsm
