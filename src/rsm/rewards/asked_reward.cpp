#include "rsm/rewards/asked_reward.h"

#include <utility>

namespace rsm {

AskedReward::AskedReward(std::string who, int64_t batch, bool groups)
    : who_(std::move(who)), batch_(batch), groups_(groups) {}

RewardScores AskedReward::score(const torch::Tensor& images,
                                const Prompts& prompts) const {
  check_pictures(who_, images, prompts);
  return judge_all(images, prompts, picture_ranges(images.size(0), batch_), {});
}

RewardScores AskedReward::score_groups(
    const torch::Tensor& images, const Prompts& prompts,
    const std::vector<int64_t>& group) const {
  if (!groups_) return score(images, prompts);
  check_pictures(who_, images, prompts);
  check_groups(who_, images.size(0), group);
  return judge_all(images, prompts, group_ranges(group, batch_), group);
}

}  // namespace rsm
