#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"

namespace rsm {

/** A network that says what pictures are alike: nobody trains on it. */
class PictureFeatures {
 public:
  virtual ~PictureFeatures() = default;
  /** images [B,3,H,W] float32 in [0,1] on any device -> [B,F] float32 of norm
   * 1 on the CPU. An image's depend on it alone. Throws rsm::Error where they
   * are not finite, or 0. */
  torch::Tensor of(const torch::Tensor& images) const;

 protected:
  explicit PictureFeatures(torch::Device device) : device_(device) {}
  torch::Device device() const { return device_; }
  /** [B,3,H,W] on device() -> [B,F], of any norm. */
  virtual torch::Tensor features(const torch::Tensor& images) const = 0;

 private:
  torch::Device device_;
};

/** Of `path`: a TorchScript file whose forward(images) gives [B,F]
 * (judges/script_module.h), DreamSim's embedding, say; or CLIP's vision tower,
 * as ClipTowers (judges/clip_towers.h) reads it. Reads it at once; throws
 * rsm::Error, "[who] ...", where that cannot be done. */
std::unique_ptr<PictureFeatures> make_picture_features(const std::string& who,
                                                       const std::string& path,
                                                       torch::Device device);

/** How much the pictures of each prompt differ in features [B,F] of norm 1: the
 * mean over their pairs of 1 - cosine, at the place of the prompt's first
 * picture; NaN at the others and where a prompt has one alone. Half the mean
 * squared distance. Source: Adjoint Matching, arXiv 2409.08861, with DreamSim's
 * features. */
std::vector<double> feature_diversity(const torch::Tensor& features,
                                      const Prompts& prompts);

}  // namespace rsm
