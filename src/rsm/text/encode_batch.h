#pragma once

#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rsm {

/** Tokens of a text: far above any text encoder's length. */
inline constexpr int64_t kMostLength = 1 << 20;
inline constexpr int64_t kLargestTokenId = std::numeric_limits<int32_t>::max();

/** A tokenizer's ids of texts [B] -> int64 [B,max_length()] on the CPU. */
template <typename Tokenizer>
torch::Tensor encode_batch(const Tokenizer& tokenizer,
                           const std::vector<std::string>& texts) {
  std::vector<int64_t> all;
  for (const auto& text : texts) {
    const auto ids = tokenizer.encode(text);
    all.insert(all.end(), ids.begin(), ids.end());
  }
  return at::tensor(all, at::kLong)
      .view({static_cast<int64_t>(texts.size()), tokenizer.max_length()});
}

}  // namespace rsm
