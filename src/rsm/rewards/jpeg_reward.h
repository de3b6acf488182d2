#pragma once

#include <torch/types.h>

#include <memory>
#include <string>

#include "rsm/base/reward.h"

namespace rsm {

/** The bytes of a JPEG file as PIL writes it by Image.save(format="JPEG",
 * quality=...): YCbCr with halved colour planes (4:2:0), standard Huffman
 * tables, a JFIF header. `pixels` is [H,W,3] uint8, contiguous on the CPU;
 * quality is 1 to 100. Throws rsm::Error where it can't be encoded (a side of
 * more than 65500 pixels). */
std::string encode_jpeg(const torch::Tensor& pixels, int quality);

/** Minus the kilobytes (1000 bytes) of a picture as JPEG of quality 95: it
 * rewards plain pictures. Incompressibility is plus the kilobytes. The metric
 * "kilobytes" is the size itself. Prompts are not looked at. Source: DDPO
 * (Black et al., 2023, arXiv 2305.13301), section 5.1 and its public code.
 *
 * Both throw rsm::Error as check_pictures (base/reward.h) does. */
std::unique_ptr<Reward> make_jpeg_compressibility();
std::unique_ptr<Reward> make_jpeg_incompressibility();

}  // namespace rsm
