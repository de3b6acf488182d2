#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "rsm/models/lora.h"
#include "rsm/runs/run_options.h"

/** What counts of memory are put together from. */
namespace rsm::memory {

inline constexpr double kMebibyte = 1 << 20;
inline constexpr int64_t kFloatBytes = 4;

inline double size_of(torch::ScalarType type) {
  return static_cast<double>(at::elementSize(type));
}

inline double product(const std::vector<int64_t>& sides) {
  double out = 1;
  for (const int64_t n : sides) out *= static_cast<double>(n);
  return out;
}

inline bool is_adapted(const std::string& layer, const LoraConfig& lora) {
  return (lora.all_linear() || lora_target_matches(layer, lora.targets)) &&
         !lora_target_matches(layer, lora.exclude);
}

/** Numbers of a network's weights that are trained. */
inline double parameters_of(const StateDict& weights) {
  double numbers = 0;
  for (const auto& [name, weight] : weights) {
    // Positions are no parameter.
    if (name == "pos_embed.pos_embed") continue;
    numbers += static_cast<double>(weight.numel());
  }
  return numbers;
}

/** Those of LoRAs of them. */
inline double adapters_of(const StateDict& weights, const LoraConfig& lora) {
  double numbers = 0;
  for (const auto& [name, weight] : weights) {
    const std::string ending = ".weight";
    const bool kernel = weight.dim() == 4 && !lora.all_linear();
    if ((weight.dim() != 2 && !kernel) || !name.ends_with(ending)) continue;
    const auto layer = name.substr(0, name.size() - ending.size());
    if (!is_adapted(layer, lora)) continue;
    numbers += product(lora_down_shape(weight, lora.rank)) +
               product(lora_up_shape(weight, lora.rank));
  }
  return numbers;
}

/** Of a number of the VAE: most of them overflow in float16, and are float32.
 */
inline int64_t vae_bytes(const RunOptions& o) {
  return o.vae_type == torch::kHalf ? kFloatBytes : at::elementSize(o.vae_type);
}

/** Calls of a network that are under way at once. */
inline double at_once(const TileOptions& tiles, int64_t rows) {
  return static_cast<double>(
      std::min(tiles.workers, std::max<int64_t>(1, tiles.calls(rows))));
}

}  // namespace rsm::memory
