#pragma once

#include <cstdint>

/** What configs of models may ask for: beyond all models there are, and far
 * below what overflows. */
namespace rsm {

inline constexpr int64_t kWidest = 65536;
inline constexpr int64_t kMostLayers = 64;  ///< of a block or a level
inline constexpr int64_t kMostLevels = 16;
inline constexpr int64_t kLargestSide = 4096;  ///< of latents
inline constexpr double kMostFactor = 1e6;

}  // namespace rsm
