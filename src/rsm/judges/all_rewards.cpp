#include "rsm/judges/all_rewards.h"

#include "rsm/judges/clip_reward.h"
#include "rsm/judges/torchscript_reward.h"

namespace rsm {
namespace {

/** The one list of rewards that are networks. */
const std::vector<RewardMaker>& makers() {
  static const std::vector<RewardMaker> all = {
      {"aesthetic", make_aesthetic},   {"clip-score", make_clip_score},
      {"pick-score", make_pick_score}, {"hps-v2", make_hps},
      {"hps-v2.1", make_hps},          {"torchscript", make_torchscript_reward},
  };
  return all;
}

}  // namespace

std::vector<std::string> network_reward_names() {
  std::vector<std::string> names;
  for (const auto& maker : makers()) names.push_back(maker.name);
  return names;
}

std::unique_ptr<Reward> make_any_reward(const RewardSpec& spec,
                                        const Progress& progress) {
  return make_reward(spec, progress, makers());
}

std::unique_ptr<Reward> make_any_rewards(const std::vector<RewardSpec>& specs,
                                         const Progress& progress) {
  return make_rewards(specs, progress, makers());
}

}  // namespace rsm
