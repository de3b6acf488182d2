#include "rsm/runs/reward_options.h"

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

constexpr double kMostWeight = 1e30;       // float32 still holds it
constexpr double kMostSeconds = 1e6;       // of a judge's answer
constexpr int64_t kMostAtOnce = 10000000;  // pictures

/** The key that names them. */
const char* key_of(const Config& config) {
  return config.has("rewards") ? "rewards" : "reward";
}

RewardSpec read_reward(const Config& section) {
  RewardSpec spec;
  spec.name = section.text("name");
  spec.weight = section.real("weight", spec.weight, -kMostWeight, kMostWeight);
  spec.timeout_seconds =
      section.real("timeout_seconds", spec.timeout_seconds, 1e-3, kMostSeconds);
  spec.batch = section.integer("batch", spec.batch, 1, kMostAtOnce);
  spec.retries = section.integer("retries", spec.retries, 0, 100);
  spec.requests = section.integer("requests", spec.requests, 1, 1024);
  spec.groups = section.flag("groups", spec.groups);
  spec.device = section.text("device", "");
  section.check("device", [&] {
    if (!spec.device.empty()) device_named(spec.device);
  });
  spec.type = section.choice("type", spec.type, type_names());
  return spec;
}

/** Notes a reward that sees groups where a method asks of pictures alone. */
void check_groups(const Config& config, const Method& method,
                  const Reward& reward) {
  if (!method.estimator.has_flow() || !reward.sees_groups()) return;
  config.note(key_of(config),
              cat("\"", reward.name(),
                  "\" sees groups, and this method judges what a path leads to "
                  "state by state, alone; allowed: rewards of a picture alone, "
                  "or a method without a learnt flow"));
}

/** Notes a gate that has nothing to look at. */
void check_gate(const Config& config, const RunOptions& o) {
  if (config.is_wrong(key_of(config)) ||
      !o.method.regularisation.gate.is_on() ||
      std::any_of(o.rewards.begin(), o.rewards.end(),
                  [](const RewardSpec& spec) { return spec.weight == 0; })) {
    return;
  }
  config.note(key_of(config),
              "no reward has weight 0, and method.regularisation.gate holds "
              "samples that such rewards like less than what is trained; list "
              "one in `rewards`: {name: ..., weight: 0}");
}

}  // namespace

void read_rewards(const Config& config, RunOptions& o) {
  if (!config.has("rewards")) {
    RewardSpec spec;
    spec.name = config.text("reward", "shapes");
    o.rewards = {spec};
    config.check("reward", [&] { make_any_rewards(o.rewards, NoProgress()); });
    return;
  }
  if (config.has("reward")) {
    config.text("reward", "shapes");
    config.note("reward", "stands beside `rewards`; give one of them");
  }
  bool trained = false;
  for (const auto& section : config.sections("rewards")) {
    o.rewards.push_back(read_reward(section));
    trained = trained || o.rewards.back().weight != 0;
  }
  if (!trained) {
    config.note("rewards",
                "no reward has a weight other than 0, so nothing would be "
                "trained; weight 0 only logs");
  }
  config.check("rewards", [&] { make_any_rewards(o.rewards, NoProgress()); });
}

void check_rewards(const Config& config, const RunOptions& o) {
  check_gate(config, o);
  const auto& estimator = o.method.estimator;
  if (!estimator.needs_gradients() && !estimator.has_flow()) return;
  if (config.is_wrong(key_of(config))) return;
  const auto reward = make_any_rewards(o.rewards, NoProgress());
  check_groups(config, o.method, *reward);
  if (!estimator.needs_gradients() || reward->is_differentiable()) return;
  config.check(key_of(config), [&] { reward->value_of({}, {}); });  // says so
}

}  // namespace rsm
