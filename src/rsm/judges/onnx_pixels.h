#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "rsm/io/json_fields.h"

namespace rsm {

/** The numbers that a network was trained to be shown for colours: of a value v
 * in [0,1] of a channel, (range v - mean) / std. */
struct OnnxPixels {
  double range = 1;  ///< of the brightest value; 255 of bytes
  std::array<double, 3> mean = {0, 0, 0};
  std::array<double, 3> std = {1, 1, 1};  ///< > 0
  bool bgr = false;                       ///< blue comes first, as in OpenCV
};

/** Keys that read_pixels() takes, all of them optional: `range`, `mean`, `std`
 * (a number for each channel, in the network's order) and `channels` (rgb or
 * bgr). */
inline constexpr std::array<const char*, 4> kPixelKeys = {"range", "mean",
                                                          "std", "channels"};

/** Reads them. Throws rsm::Error naming file and key for a wrong value. */
void read_pixels(const JsonFields& fields, OnnxPixels& pixels);

/** images [B,3,H,W] in [0,1], R, G, B -> what the network is shown, float32. */
torch::Tensor shown_pixels(const torch::Tensor& images,
                           const OnnxPixels& pixels);

/** Whole numbers of 0 to 255 as float32, as 8-bit pictures of images [B,3,H,W]
 * in [0,1] have them: what code that reads files judges. */
torch::Tensor byte_values(const torch::Tensor& images);

/** byte_values() resized to whole numbers, bilinearly between the centres of
 * pixels, without antialiasing: by OpenCV's weights, whose resize() rounds them
 * to 1/2048 besides. */
torch::Tensor resized_bytes(const torch::Tensor& bytes, int64_t height,
                            int64_t width);

}  // namespace rsm
