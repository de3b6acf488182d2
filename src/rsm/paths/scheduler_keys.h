#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace rsm {

/** Steps of a training schedule, num_train_timesteps. */
inline constexpr int64_t kMostSteps = 1'000'000;

/** Keys of a scheduler_config.json that are left from another scheduler:
 * diffusers' from_config carries them along and its class, here the one the
 * config names, passes over them. `own` are the keys this class reads. Throws
 * rsm::Error naming a key that no scheduler of diffusers has. */
std::vector<std::string> leftover_keys(const nlohmann::json& config,
                                       const std::vector<std::string>& own);

/** What to say of a scheduler of a class that is not read: which are, and what
 * to do. */
std::string other_scheduler(const std::string& name);

}  // namespace rsm
