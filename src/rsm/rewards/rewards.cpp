#include "rsm/rewards/rewards.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rewards/exec_reward.h"
#include "rsm/rewards/http_reward.h"
#include "rsm/rewards/jpeg_reward.h"
#include "rsm/rewards/shapes_reward.h"
#include "rsm/rewards/weighted_reward.h"

namespace rsm {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Reward> (*make)();
};

/** The one list of rewards: a new one is a file of its own and a line here. */
constexpr Entry kRewards[] = {
    {"shapes", make_shapes_reward},
    {"jpeg-compressibility", make_jpeg_compressibility},
    {"jpeg-incompressibility", make_jpeg_incompressibility},
};

/** A program loads its model before it is ready: seconds, where
 * timeout_seconds is not more. */
constexpr double kStartSeconds = 120;

bool begins_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

void check_spec(const RewardSpec& spec) {
  const auto check = [&](bool ok, const char* key, double value,
                         const char* allowed) {
    if (!ok) {
      throw UsageError(cat("[reward ", spec.name, "] ", key, " is ", value,
                           "; allowed: ", allowed));
    }
  };
  check(std::isfinite(spec.weight), "weight", spec.weight, "finite numbers");
  check(spec.timeout_seconds > 0 && std::isfinite(spec.timeout_seconds),
        "timeout_seconds", spec.timeout_seconds, "seconds above 0");
  check(spec.batch >= 1, "batch", static_cast<double>(spec.batch), "1 or more");
  check(spec.retries >= 0, "retries", static_cast<double>(spec.retries),
        "0 or more");
}

std::unique_ptr<Reward> make_of(const RewardSpec& spec) {
  const std::string program = "exec:";
  if (begins_with(spec.name, program)) {
    return make_exec_reward({spec.name.substr(program.size()),
                             spec.timeout_seconds,
                             std::max(kStartSeconds, spec.timeout_seconds),
                             spec.batch, spec.retries});
  }
  if (begins_with(spec.name, "http:") || begins_with(spec.name, "https:")) {
    HttpOptions options;
    options.address = spec.name;
    options.timeout_seconds = spec.timeout_seconds;
    options.batch = spec.batch;
    options.retries = spec.retries;
    return make_http_reward(options);
  }
  for (const Entry& entry : kRewards) {
    if (spec.name == entry.name) {
      return entry.make();
    }
  }
  throw UsageError(cat("[reward] ", unknown_word(spec.name, reward_names()),
                       "; or exec:COMMAND, or http://HOST:PORT/PATH"));
}

}  // namespace

std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRewards) {
    names.emplace_back(entry.name);
  }
  return names;
}

std::unique_ptr<Reward> make_reward(const std::string& name) {
  RewardSpec spec;
  spec.name = name;
  return make_of(spec);
}

std::unique_ptr<Reward> make_rewards(const std::vector<RewardSpec>& specs) {
  std::vector<WeightedReward> rewards;
  std::set<std::string> names;
  bool trains = false;
  for (const RewardSpec& spec : specs) {
    check_spec(spec);
    if (!names.insert(spec.name).second) {
      throw UsageError(cat("[reward] \"", spec.name,
                           "\" stands twice; give it once, with one weight"));
    }
    trains = trains || spec.weight != 0;
    rewards.push_back({spec.weight, make_of(spec)});
  }
  if (!trains) {
    throw UsageError(cat("[reward] got ", specs.size(),
                         " rewards, and none has a weight other than 0; give "
                         "one that trains"));
  }
  return make_weighted_reward(std::move(rewards));
}

}  // namespace rsm
