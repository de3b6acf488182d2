#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "rsm/io/png_text.h"

namespace rsm {

/** The bytes of an 8-bit RGB PNG file. `image` is [3,H,W], float in [0,1]
 * (clamped, then rounded to the nearest 1/255) or uint8. Equal images give
 * equal bytes. Throws rsm::Error on another shape or type, and on NaN. */
std::string encode_png(const torch::Tensor& image);

/** [B,3,H,W] float in [0,1] -> [B,H,W,3] uint8, contiguous: clamped, then
 * rounded to the nearest 1/255, as encode_png does it. */
torch::Tensor picture_bytes(const torch::Tensor& images);

/** Writes encode_png(image) with texts beside the pixels, atomically. */
void write_png(const std::string& path, const torch::Tensor& image,
               const PngTexts& texts = {});

/** A PNG file of any kind as [3,H,W] uint8: grey and palettes become RGB,
 * transparency is laid on white, 16 bits become 8, a colour profile is applied
 * towards sRGB where the file has a gamma. Throws rsm::Error naming the file;
 * pictures of more than 2^28 pixels are refused. */
torch::Tensor read_png(const std::string& path);

/** Lays images [B,3,H,W] (float in [0,1], or uint8) in rows of `columns` >= 1,
 * `gap` >= 0 white pixels between them, each pixel enlarged to `zoom` x `zoom`,
 * zoom >= 1. Fewer images than columns make a row of their number. B >= 1.
 * Returns [3, rows (zoom H + gap) - gap, columns (zoom W + gap) - gap] of the
 * images' type, on the CPU. */
torch::Tensor image_grid(const torch::Tensor& images, int64_t columns,
                         int64_t gap, int64_t zoom);

}  // namespace rsm
