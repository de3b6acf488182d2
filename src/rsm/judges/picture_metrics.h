#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"
#include "rsm/data/brisque.h"
#include "rsm/data/niqe.h"
#include "rsm/judges/picture_features.h"

namespace rsm {

/** What evaluations measure beside the reward, by files of the user's; an empty
 * path: not. */
struct PictureMetricPaths {
  std::string features;  ///< see make_picture_features
  std::string niqe;      ///< niqe_image_params.mat
  std::string brisque;   ///< brisque_model_live.yml

  /** Those that are given. */
  std::vector<std::string> given() const;
  /** The metrics that rise where pictures get worse. */
  std::vector<std::string> worse_if_more() const;
};

/** Measures them: "feature_diversity" (feature_diversity()), "niqe" and
 * "brisque". */
class PictureMetrics {
 public:
  /** Reads all files. Throws rsm::Error naming the one that cannot be. */
  PictureMetrics(const PictureMetricPaths& paths, torch::Device device);

  /** [B] each, NaN where a picture has none; of images [B,3,H,W] in [0,1], all
   * pictures of each prompt among them. */
  std::map<std::string, std::vector<double>> of(const torch::Tensor& images,
                                                const Prompts& prompts) const;

 private:
  std::unique_ptr<PictureFeatures> features_;
  std::optional<Niqe> niqe_;
  std::optional<Brisque> brisque_;
};

}  // namespace rsm
