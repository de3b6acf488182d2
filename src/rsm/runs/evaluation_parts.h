#pragma once

#include <map>
#include <string>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/data/picture_watch.h"
#include "rsm/runs/evaluation.h"

namespace rsm {

/** What an evaluation sees of some of its pictures. */
struct PartScores {
  std::vector<int64_t> pictures;
  RewardScores scores;
  std::vector<double> diversity;
  PictureWatch watch;
  std::map<std::string, std::vector<double>> measured;
  /** Of those that people are shown, by their place among these. */
  std::map<int64_t, torch::Tensor> thumbnails;
};

/** Of images [B,3,H,W] of pictures [B], one prompt each; `beside` may be null.
 */
PartScores part_scores(const EvaluationSet& set,
                       const std::vector<int64_t>& pictures,
                       const torch::Tensor& images, const Prompts& prompts,
                       const Reward& reward, const PictureMetrics* beside);

/** Those of rank 0, then of rank 1 and so on. */
std::vector<PartScores> gathered(Communicator& ranks,
                                 const std::vector<PartScores>& own);

/** Of all pictures, each in one part, but for the summaries. Throws rsm::Error
 * where the reward, whose name is given, measured other things of some. */
Evaluation joined(const EvaluationSet& set,
                  const std::vector<PartScores>& parts,
                  const std::string& reward);

}  // namespace rsm
