#pragma once

#include <string>
#include <vector>

#include "rsm/base/reward.h"
#include "rsm/rewards/answers.h"

namespace rsm {

/** A judge outside the program, which is asked of at most `batch` pictures at
 * once, and where it sees groups of whole ones. */
class AskedReward : public Reward {
 public:
  bool is_remote() const override { return true; }
  bool sees_groups() const override { return groups_; }

  /** images [B,3,H,W] in [0,1] -> values [B]. Throws rsm::Error naming `who`
   * for other shapes, and what judge_all throws. */
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override;
  /** The same with the label of each picture's group, [B]. */
  RewardScores score_groups(const torch::Tensor& images, const Prompts& prompts,
                            const std::vector<int64_t>& group) const override;

 protected:
  /** `who` begins errors. */
  AskedReward(std::string who, int64_t batch, bool groups);
  const std::string& who() const { return who_; }

 private:
  /** Of the ranges, one after the other; `group` is empty where pictures are
   * judged alone. */
  virtual RewardScores judge_all(const torch::Tensor& images,
                                 const Prompts& prompts,
                                 const std::vector<PictureRange>& ranges,
                                 const std::vector<int64_t>& group) const = 0;

  std::string who_;
  int64_t batch_;
  bool groups_;
};

}  // namespace rsm
