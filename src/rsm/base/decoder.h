#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace rsm {

/** Latents -> pictures. */
class Decoder {
 public:
  virtual ~Decoder() = default;
  /** [B,C,H,W] -> [B,3,H',W'] float32 in [0,1] on the CPU. Row b of the result
   * depends on row b of the latents alone. */
  virtual torch::Tensor decode(const torch::Tensor& latents) const = 0;
  /** The same as they come out, on the decoder's device: not clamped, in its
   * own type. Carries gradients where grad mode is on. */
  virtual torch::Tensor pictures(const torch::Tensor& latents) const = 0;
  /** H'/H = W'/W. */
  virtual int64_t scale() const = 0;
};

/** Pictures of latents [C,H,W] that are held at once: a quarter of a gigabyte
 * of float32, and at least one. */
inline int64_t pictures_at_once(const Decoder& decoder,
                                const std::vector<int64_t>& latent_shape) {
  constexpr int64_t kBytes = int64_t{1} << 28;
  const int64_t picture = 3 * 4 * latent_shape[1] * latent_shape[2] *
                          decoder.scale() * decoder.scale();
  return std::max<int64_t>(1, kBytes / picture);
}

}  // namespace rsm
