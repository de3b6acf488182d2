#pragma once

#include <torch/types.h>

#include <string>

#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/reward.h"
#include "rsm/paths/path.h"
#include "rsm/worlds/three_modes.h"

namespace rsm {

// What the engine works with, of a world in two dimensions. A latent [2,H,W] is
// a field of H W points that know nothing of each other: thousands of paths are
// drawn as one. Prompts and conditions are not looked at.

/** The exact noise of points of a mixture, where a network would stand. Both
 * must outlive it. */
class MixtureDenoiser : public Denoiser {
 public:
  MixtureDenoiser(const GaussianMixture& mixture, const Path& path)
      : mixture_(mixture), path_(path) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override;
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor& t,
                          const ConditionRows& conditions,
                          const OutputGradient& output_gradient) override;

 private:
  /** [B,1,1] in the dtype of x. */
  torch::Tensor signals(const torch::Tensor& x, const torch::Tensor& t) const;

  const GaussianMixture& mixture_;
  const Path& path_;
};

/** Points as a picture of two channels, whose range is [-32, 32]: farther than
 * any point of the world's comes, so that nothing is clamped. */
class FieldDecoder : public Decoder {
 public:
  torch::Tensor decode(const torch::Tensor& latents) const override {
    return pictures(latents);
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return latents / kRange + 0.5;
  }
  int64_t scale() const override { return 1; }

  static torch::Tensor points(const torch::Tensor& pictures) {
    return (pictures - 0.5) * kRange;
  }

 private:
  static constexpr double kRange = 64;  ///< a power of 2 rounds nothing
};

/** The world's reward, summed over a field: its gradient in a point is that of
 * the point's own reward. */
class FieldReward : public Reward {
 public:
  explicit FieldReward(const ThreeModes& world) : world_(world) {}

  std::string name() const override { return "three modes"; }
  bool is_differentiable() const override { return true; }
  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts& prompts) const override;
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    return {value_of(images, prompts), {}};
  }

 private:
  const ThreeModes& world_;
};

}  // namespace rsm
