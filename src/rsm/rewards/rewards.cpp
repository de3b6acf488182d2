#include "rsm/rewards/rewards.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rewards/colourfulness_reward.h"
#include "rsm/rewards/exec_reward.h"
#include "rsm/rewards/http_client.h"
#include "rsm/rewards/http_reward.h"
#include "rsm/rewards/jpeg_reward.h"
#include "rsm/rewards/target_colour_reward.h"
#include "rsm/rewards/weighted_reward.h"
#include "rsm/rewards/win_rate_reward.h"
#include "rsm/worlds/shapes_reward.h"
#include "rsm/worlds/shapes_soft_reward.h"

namespace rsm {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Reward> (*make)();
  /** Of NAME:ARGUMENT, where a name takes one. */
  std::unique_ptr<Reward> (*make_with)(const std::string& argument) = nullptr;
};

/** The one list of rewards: a new one is a file of its own and a line here. */
constexpr Entry kRewards[] = {
    {"shapes", shapes::make_reward},
    {"shapes-soft", shapes::make_soft_reward},
    {"jpeg-compressibility", make_jpeg_compressibility},
    {"jpeg-incompressibility", make_jpeg_incompressibility},
    {"colourfulness", make_colourfulness},
    {"target-colour", make_target_colour, make_target_colour},
};

/** A program loads its model before it is ready: seconds, where
 * timeout_seconds is not more. */
constexpr double kStartSeconds = 120;

constexpr std::string_view kProgram = "exec:";
constexpr std::string_view kWinRate = "win-rate:";
constexpr int64_t kMostRequests = 1024;  // connections, and threads of a server

bool begins_with(const std::string& text, std::string_view start) {
  return text.compare(0, start.size(), start) == 0;
}

bool asks_program(const RewardSpec& spec) {
  return begins_with(judge_of(spec.name), kProgram);
}

bool asks_server(const RewardSpec& spec) {
  const std::string judge = judge_of(spec.name);
  return begins_with(judge, "http:") || begins_with(judge, "https:");
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
  const bool program = asks_program(spec);
  check(spec.requests >= 1 && spec.requests <= (program ? 1 : kMostRequests),
        "requests", static_cast<double>(spec.requests),
        program ? "1, as a program reads one request after the other"
                : "1 to 1024");
  if (spec.groups && !program && !asks_server(spec)) {
    throw UsageError(cat("[reward ", spec.name,
                         "] groups is true; allowed for exec: and http: alone, "
                         "whose judges say what they do with a group: leave it "
                         "out, or name win-rate:",
                         spec.name));
  }
}

/** The turns at each server, by its host and port. */
using Servers = std::map<std::string, std::shared_ptr<Turns>>;

std::string server_of(const RewardSpec& spec) {
  const HttpAddress address = parse_http_address(judge_of(spec.name));
  return cat(address.host, " ", address.port);
}

Servers servers_of(const std::vector<RewardSpec>& specs) {
  std::map<std::string, int64_t> fewest;
  for (const RewardSpec& spec : specs) {
    if (asks_server(spec)) {
      auto& requests =
          fewest.emplace(server_of(spec), spec.requests).first->second;
      requests = std::min(requests, spec.requests);
    }
  }
  Servers servers;
  for (const auto& [server, requests] : fewest) {
    servers[server] = std::make_shared<Turns>(requests);
  }
  return servers;
}

std::vector<std::string> names_with(const std::vector<RewardMaker>& more) {
  auto names = reward_names();
  for (const RewardMaker& maker : more) names.push_back(maker.name);
  return names;
}

std::unique_ptr<Reward> make_of(const RewardSpec& spec, const Servers& servers,
                                const Progress& progress,
                                const std::vector<RewardMaker>& more) {
  if (begins_with(spec.name, kWinRate)) {
    RewardSpec of = spec;
    of.name = spec.name.substr(kWinRate.size());
    of.gradient = false;  // an order has none
    return make_win_rate_reward(make_of(of, servers, progress, more));
  }
  if (begins_with(spec.name, kProgram)) {
    return make_exec_reward(
        {spec.name.substr(kProgram.size()), spec.timeout_seconds,
         std::max(kStartSeconds, spec.timeout_seconds), spec.batch,
         spec.retries, spec.groups},
        progress);
  }
  if (asks_server(spec)) {
    HttpOptions options;
    options.address = spec.name;
    options.timeout_seconds = spec.timeout_seconds;
    options.batch = spec.batch;
    options.retries = spec.retries;
    options.requests = spec.requests;
    options.groups = spec.groups;
    options.turns = servers.at(server_of(spec));
    return make_http_reward(options, progress);
  }
  const size_t colon = spec.name.find(':');
  const std::string word = spec.name.substr(0, colon);
  for (const Entry& entry : kRewards) {
    if (word != entry.name) continue;
    if (colon == std::string::npos) return entry.make();
    if (entry.make_with != nullptr) {
      return entry.make_with(spec.name.substr(colon + 1));
    }
    throw UsageError(cat("[reward] got \"", spec.name, "\"; ", word,
                         " takes nothing after its name: leave it out"));
  }
  for (const RewardMaker& maker : more) {
    if (word != maker.name) continue;
    return maker.make(
        spec, colon == std::string::npos ? "" : spec.name.substr(colon + 1));
  }
  throw UsageError(
      cat("[reward] ", unknown_word(word, names_with(more)),
          "; or exec:COMMAND, http://HOST:PORT/PATH, or win-rate:REWARD"));
}

}  // namespace

std::string judge_of(const std::string& name) {
  return begins_with(name, kWinRate) ? judge_of(name.substr(kWinRate.size()))
                                     : name;
}

std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRewards) {
    names.emplace_back(entry.name);
  }
  return names;
}

std::unique_ptr<Reward> make_reward(const std::string& name,
                                    const Progress& progress) {
  RewardSpec spec;
  spec.name = name;
  return make_reward(spec, progress);
}

std::unique_ptr<Reward> make_reward(const RewardSpec& spec,
                                    const Progress& progress,
                                    const std::vector<RewardMaker>& more) {
  check_spec(spec);
  return make_of(spec, servers_of({spec}), progress, more);
}

std::unique_ptr<Reward> make_rewards(const std::vector<RewardSpec>& specs,
                                     const Progress& progress,
                                     const std::vector<RewardMaker>& more) {
  std::vector<WeightedReward> rewards;
  std::set<std::string> names;
  bool trains = false;
  std::for_each(specs.begin(), specs.end(), check_spec);
  const Servers servers = servers_of(specs);
  for (const RewardSpec& spec : specs) {
    if (!names.insert(spec.name).second) {
      throw UsageError(cat("[reward] \"", spec.name,
                           "\" stands twice; give it once, with one weight"));
    }
    trains = trains || spec.weight != 0;
    rewards.push_back({spec.weight, make_of(spec, servers, progress, more)});
  }
  if (!trains) {
    throw UsageError(cat("[reward] got ", specs.size(),
                         " rewards, and none has a weight other than 0; give "
                         "one that trains"));
  }
  return make_weighted_reward(std::move(rewards));
}

}  // namespace rsm
