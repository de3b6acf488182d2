#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/base/reward.h"

namespace rsm {

/** A reward as a config names it. Four numbers and `groups` are for judges
 * outside this program (exec: and http:), what follows them for networks within
 * it; they change nothing of others. */
struct RewardSpec {
  std::string name;              ///< as make_reward takes it
  double weight = 1;             ///< finite; 0: scored and reported only
  double timeout_seconds = 60;   ///< for a request, > 0
  int64_t batch = 64;            ///< pictures of a request, >= 1
  int64_t retries = 2;           ///< restarts, or requests sent again, >= 0
  int64_t requests = 1;          ///< under way at a server at once, 1 to 1024
  bool groups = false;           ///< exec: and http: are sent whole groups
  std::string device = {};       ///< cpu, cuda or cuda:N; empty: cpu
  std::string type = "float32";  ///< that weights have and are computed in
  bool gradient = false;         ///< its gradient is followed: check() tries it
  int64_t threads = 0;           ///< calls at once on the CPU; 0: LibTorch's
};

/** A reward of a folder above this one, NAME or NAME:ARGUMENT. */
struct RewardMaker {
  std::string name;
  /** `argument` is empty where the spec's name has none. Throws rsm::UsageError
   * for one that it does not take. */
  std::unique_ptr<Reward> (*make)(const RewardSpec& spec,
                                  const std::string& argument);
};

/** Names of the rewards that are built in. target-colour also takes a colour,
 * as target-colour:RRGGBB. */
std::vector<std::string> reward_names();

/** The name of what judges pictures in the end: that of REWARD in
 * win-rate:REWARD, else the name itself. */
std::string judge_of(const std::string& name);

/** The reward of a name: one of reward_names() or of `more`, `exec:COMMAND`
 * (rewards/exec_reward.h), `http://HOST:PORT/PATH` (rewards/http_reward.h) or
 * `win-rate:REWARD` of any of them (rewards/win_rate_reward.h). Starts and asks
 * nothing yet: see Reward::check. Where it waits for others it hears of a stop
 * from `progress`, which must outlive it. Throws rsm::UsageError for an unknown
 * name, a missing command or a wrong address. */
std::unique_ptr<Reward> make_reward(const std::string& name,
                                    const Progress& progress);
std::unique_ptr<Reward> make_reward(const RewardSpec& spec,
                                    const Progress& progress,
                                    const std::vector<RewardMaker>& more = {});

/** The weighted sum of rewards, see make_weighted_reward
 * (rewards/weighted_reward.h). Those of one HOST:PORT have the fewest of their
 * `requests` under way, together. Throws rsm::UsageError for what make_reward
 * refuses, numbers out of range, a name that stands twice, no reward at all, or
 * weights that are all 0. */
std::unique_ptr<Reward> make_rewards(const std::vector<RewardSpec>& specs,
                                     const Progress& progress,
                                     const std::vector<RewardMaker>& more = {});

}  // namespace rsm
