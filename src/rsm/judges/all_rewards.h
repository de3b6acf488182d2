#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/base/reward.h"
#include "rsm/rewards/rewards.h"

/** All rewards there are: those of rewards/rewards.h and, above it, those that
 * are networks. */
namespace rsm {

/** Names of the rewards that are networks. Each takes a path behind a colon;
 * "torchscript" and "onnx" need one. */
std::vector<std::string> network_reward_names();

/** The files and folders, there or not, that the reward NAME or NAME:PATH rests
 * on; none where it is no network. Throws rsm::Error where the settings of one
 * cannot be read. */
std::vector<std::string> network_places(const std::string& name);

/** make_reward and make_rewards (rewards/rewards.h) of all of them. */
std::unique_ptr<Reward> make_any_reward(const RewardSpec& spec,
                                        const Progress& progress);
std::unique_ptr<Reward> make_any_rewards(const std::vector<RewardSpec>& specs,
                                         const Progress& progress);

}  // namespace rsm
