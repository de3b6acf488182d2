#include "rsm/rewards/rewards.h"

#include "rsm/base/error.h"
#include "rsm/rewards/shapes_reward.h"

namespace rsm {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Reward> (*make)();
};

/** The one list of rewards: a new one is a file of its own and a line here. */
constexpr Entry kRewards[] = {
    {"shapes", make_shapes_reward},
};

}  // namespace

std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRewards) {
    names.emplace_back(entry.name);
  }
  return names;
}

std::unique_ptr<Reward> make_reward(const std::string& name) {
  for (const Entry& entry : kRewards) {
    if (name == entry.name) {
      return entry.make();
    }
  }
  throw UsageError(cat("[reward] ", unknown_word(name, reward_names())));
}

}  // namespace rsm
