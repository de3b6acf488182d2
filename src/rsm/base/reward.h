#pragma once

#include <torch/types.h>

#include <map>
#include <string>

#include "rsm/base/prompt.h"

namespace rsm {

/** Scores of a batch. `value` [B] float32 is what training raises; `metrics`
 * are further scores of the same images ([B] each), reported beside it. */
struct RewardScores {
  torch::Tensor value;
  std::map<std::string, torch::Tensor> metrics;
};

/** A judge of images: a black box unless it says otherwise. */
class Reward {
 public:
  virtual ~Reward() = default;

  virtual std::string name() const = 0;

  /** The metric that results are told in: "reward" is the trained value. */
  virtual std::string main_metric() const { return "reward"; }

  /** images [B,3,H,W] float32 in [0,1] on the CPU, one prompt each.
   * The result for an image depends on that image and prompt alone.
   * Throws rsm::Error where sizes differ or a prompt can't be judged. */
  virtual RewardScores score(const torch::Tensor& images,
                             const Prompts& prompts) const = 0;
};

}  // namespace rsm
