#pragma once

#include <torch/types.h>

#include <cstdint>

#include "rsm/base/decoder.h"
#include "rsm/base/prompt.h"
#include "rsm/base/reward.h"

namespace rsm {

/** A reward and its slope at some latents, float32 on the CPU. */
struct RewardGradient {
  torch::Tensor value;     ///< [B], the reward of the pictures as decoded there
  torch::Tensor gradient;  ///< [B,C,H,W], d value / d latents
};

/** The reward of the pictures that latents [B,C,H,W] (any type and device)
 * decode to, one prompt each, and its gradient; enables gradients itself,
 * whatever the caller's mode.
 *
 * Pictures are clamped to [0,1] and judged in float32, or in the decoder's type
 * where that is wider. As in published code, clamping zeroes the gradient of
 * each channel of a pixel that lies outside: saturated parts of a picture pull
 * at nothing (so does VGG-Flow, arXiv 2512.05116).
 *
 * `at_once` latents, 1 or more, are decoded and judged at a time: their
 * activations are what memory holds. Row b depends on row b alone, and any
 * `at_once` gives the same numbers, as far as decoder and reward keep their
 * promises (base/decoder.h, base/reward.h).
 *
 * Throws rsm::UsageError where the reward is a black box, and rsm::Error,
 * naming the reward, where sizes differ, where its value carries no gradient,
 * and where a value or gradient is not finite (naming the first prompt). */
RewardGradient reward_gradient(const Reward& reward, const Decoder& decoder,
                               const torch::Tensor& latents,
                               const Prompts& prompts, int64_t at_once);

/** Euclidean norms of gradients [B,...] over all that belongs to a row: [B]
 * float32, summed in float64. */
torch::Tensor norms(const torch::Tensor& gradient);

/** Rows g of [B,...] as g / (|g| + 1e-8) * min(|g|, max_norm), in the same type
 * and on the same device. `max_norm` above 0; infinity clips nothing (the 1e-8
 * still shrinks a g of about its size). Source: VGG-Flow's public code. Throws
 * rsm::Error for another max_norm. */
torch::Tensor clip_gradients(torch::Tensor gradient, double max_norm);

}  // namespace rsm
