#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "rsm/judges/judge_files.h"
#include "rsm/judges/open_clip.h"
#include "rsm/models/clip_vision.h"
#include "rsm/text/clip_text.h"
#include "rsm/text/clip_tokenizer.h"

namespace rsm {

struct ClipTowersOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType type = torch::kFloat32;  ///< that both compute in
  bool text = true;  ///< without, texts cannot be asked for
};

/** The configs of a judge's towers, as ClipTowers reads them; that of texts
 * where they are asked for. Throws rsm::Error naming what is missing or wrong.
 */
ClipConfigs clip_configs(const JudgeWeights& read, bool text);
/** A judge's tensors by the names of transformers' CLIPModel. */
StateDict clip_tensors(const JudgeWeights& read);

/** CLIP's vision tower and, where it is asked for, its text tower with its
 * tokenizer, to be judged with: nothing of them is trained. Features are
 * float32, [B,P], of norm 1. Threads may share one. */
class ClipTowers {
 public:
  /** Reads `path` as read_judge (judges/judge_files.h) does, in transformers'
   * layout (config.json) or in OpenCLIP's (open_clip_config.json, which
   * ViT-H/14 does without), by the names of the tensors. The tokenizer's files
   * lie in tokenizer/ of that folder or in the folder itself. Throws rsm::Error
   * where files are missing or don't fit each other; errors begin with "[who]"
   * where there is no file of that kind. */
  ClipTowers(const std::string& who, const std::string& path,
             const ClipTowersOptions& options);

  /** Of the folder that all of it lies in. */
  const std::string& folder() const { return folder_; }
  int64_t image_size() const { return vision_->config().image_size; }
  int64_t width() const { return vision_->config().projection_dim; }

  /** pixels [B,3,S,S], S = image_size(), as clip_pixels gives them, on any
   * device; carries their gradient. */
  torch::Tensor image_features(const torch::Tensor& pixels) const;

  /** Each text is encoded once, alone, and kept. Throws rsm::Error for text
   * that is not UTF-8. */
  torch::Tensor text_features(const std::vector<std::string>& texts) const;

  /** exp(logit_scale): what a cosine is multiplied with. Throws rsm::Error
   * where the weights have none. */
  double scale() const;

 private:
  void load(const JudgeWeights& read);
  torch::Tensor encoded(const std::string& text) const;

  std::string who_, folder_;
  ClipTowersOptions options_;
  mutable ClipVisionModel vision_{nullptr};
  mutable ClipTextModel text_{nullptr};
  std::optional<ClipTokenizer> tokenizer_;
  std::optional<double> scale_;
  mutable std::mutex keeping_;
  mutable std::map<std::string, torch::Tensor> kept_;  ///< [P] by text
};

}  // namespace rsm
