#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/reward.h"

namespace rsm {

/** Names of all rewards, as make_reward takes them. */
std::vector<std::string> reward_names();

/** The reward of a name. Throws rsm::UsageError for an unknown one. */
std::unique_ptr<Reward> make_reward(const std::string& name);

}  // namespace rsm
