#include "rsm/layers/fast_gelu.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

// One copy of a kernel for each generation of vector units, chosen when the
// program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define RSM_VECTORISED \
  __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RSM_VECTORISED
#endif

namespace rsm {
namespace {

constexpr int64_t kBlock = 512;

/** 2^p for p in [-126, 126], within 2e-7 of it: the whole part shifts the
 * exponent, the rest is a polynomial (Taylor's of 2^f on [-1/2, 1/2]). */
inline float exp2_of(float p) {
  // Adding 1.5 * 2^23 rounds to a whole number in the low bits.
  constexpr float kRound = 12582912.0F;
  const float shifted = p + kRound;
  const float f = p - (shifted - kRound);
  float e = 1.5403530e-4F;
  e = e * f + 1.3333558e-3F;
  e = e * f + 9.6181291e-3F;
  e = e * f + 5.5504109e-2F;
  e = e * f + 2.4022651e-1F;
  e = e * f + 6.9314718e-1F;
  e = e * f + 1.0F;
  const auto whole = std::bit_cast<uint32_t>(shifted) << 23;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(e) + whole);
}

inline float gelu_of(float x) {
  constexpr float kScale = -2.3022082F;  // -2 sqrt(2/pi) log2(e)
  const float u = kScale * (x + 0.044715F * x * x * x);
  // Not std::clamp: references keep the loop from being vectorised.
  const float above = u > -126.0F ? u : -126.0F;
  return x / (1.0F + exp2_of(above < 126.0F ? above : 126.0F));
}

RSM_VECTORISED void gelu_floats(float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    x[i] = gelu_of(x[i]);
  }
}

/** Through float32, rounding to the nearest, ties to even. */
RSM_VECTORISED void gelu_halves(uint16_t* x, int64_t count) {
  std::array<float, kBlock> wide;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    uint16_t* block = x + begin;
    for (int64_t i = 0; i < size; ++i) {
      wide[i] =
          gelu_of(std::bit_cast<float>(static_cast<uint32_t>(block[i]) << 16));
    }
    for (int64_t i = 0; i < size; ++i) {
      const auto bits = std::bit_cast<uint32_t>(wide[i]);
      block[i] =
          static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
  }
}

}  // namespace

void fast_gelu_(torch::Tensor& x) {
  const bool plain = x.is_cpu() && x.is_contiguous();
  if (plain && x.scalar_type() == at::kFloat) {
    gelu_floats(x.data_ptr<float>(), x.numel());
  } else if (plain && x.scalar_type() == at::kBFloat16) {
    gelu_halves(static_cast<uint16_t*>(x.data_ptr()), x.numel());
  } else {
    x = at::gelu(x, "tanh");
  }
}

}  // namespace rsm
