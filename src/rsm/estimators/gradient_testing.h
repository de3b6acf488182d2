#pragma once

#include <torch/types.h>

#include <string>

#include "rsm/base/decoder.h"
#include "rsm/base/reward.h"

/** A reward and a decoder whose gradients are easily told; no part of the
 * library includes this. */
namespace rsm {

/** Pictures that never saturate. */
class SquashedPixels : public Decoder {
 public:
  torch::Tensor decode(const torch::Tensor& latents) const override {
    return pictures(latents);
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return at::sigmoid(latents);
  }
  int64_t scale() const override { return 1; }
};

/** A linear reward, of every pixel another weight. */
class LinearReward : public Reward {
 public:
  std::string name() const override { return "linear"; }
  bool is_differentiable() const override { return true; }
  /** [C,H,W] of pictures [B,C,H,W]: its gradient in each. */
  static torch::Tensor slope(const torch::Tensor& images) {
    return (1 + at::arange(images[0].numel(), images.options()) / 10)
        .view(images[0].sizes());
  }
  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts&) const override {
    return (slope(images) * images).flatten(1).sum(1);
  }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    return {value_of(images, prompts), {}};
  }
};

/** A curved reward, of every pixel another weight. */
class CurvedReward : public Reward {
 public:
  std::string name() const override { return "curved"; }
  bool is_differentiable() const override { return true; }
  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts&) const override {
    const auto weight =
        at::arange(images[0].numel(), images.options()).view(images[0].sizes());
    return (weight * images.square()).flatten(1).sum(1) / 10 + offset;
  }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    return {value_of(images, prompts), {}};
  }

  float offset = 0;
};

}  // namespace rsm
