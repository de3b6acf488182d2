#include "rsm/runs/memory_plan.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/runs/memory_advice.h"
#include "rsm/runs/memory_forecast.h"

namespace rsm {
namespace {

constexpr const char* kRolloutTile = "rollout_tile";
constexpr const char* kTrainTile = "train_tile";
constexpr const char* kCheckpointing = "activation_checkpointing";

/** Of a target, what a count may fill: it is meant to be right within 15 %. */
constexpr double kUsable = 0.85;
/** Of a GPU: what CUDA and its libraries hold beside LibTorch's allocator. */
constexpr double kOfDevice = 600 << 20;

constexpr int64_t kLargestTile = 65536;

void read_rollout_tile(const Config& section, RunOptions& o) {
  o.rollout_tiles.tile =
      section.integer(kRolloutTile, o.rollout_tiles.tile, 1, kLargestTile);
}
void read_train_tile(const Config& section, RunOptions& o) {
  o.train_tiles.tile =
      section.integer(kTrainTile, o.train_tiles.tile, 1, kLargestTile);
}
void read_checkpointing(const Config& section, RunOptions& o) {
  o.activation_checkpointing =
      section.flag(kCheckpointing, o.activation_checkpointing);
}

/** What was chosen, where the run folder's config has the same target. */
bool take_recorded(const Config& section, RunOptions& o) {
  const auto path = std::filesystem::path(o.folder) / "config.yaml";
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return false;
  try {
    const auto before = Config::load(path.string()).section("compute");
    if (before.text("memory", "") != o.memory) return false;
    for (const char* key : {kRolloutTile, kTrainTile, kCheckpointing}) {
      if (!before.has(key)) return false;
    }
    if (!section.has(kRolloutTile)) read_rollout_tile(before, o);
    if (!section.has(kTrainTile)) read_train_tile(before, o);
    if (!section.has(kCheckpointing)) read_checkpointing(before, o);
    return true;
  } catch (const Error&) {
    return false;  // no config of a run: whoever goes on with it says so
  }
}

/** Powers of 2 from `most` down to 1; or what is set. */
std::vector<int64_t> tiles_to_try(bool set, int64_t tile) {
  std::vector<int64_t> out = {tile};
  while (!set && out.back() > 1) out.push_back(out.back() / 2);
  return out;
}

/** What there is to choose from, the best first. */
std::vector<RunOptions> choices(const Config& section, const RunOptions& o) {
  std::vector<bool> checkpointing = {o.activation_checkpointing};
  if (!section.has(kCheckpointing)) checkpointing.push_back(true);
  std::vector<RunOptions> out;
  for (const bool checkpointed : checkpointing) {
    for (const int64_t train :
         tiles_to_try(section.has(kTrainTile), o.train_tiles.tile)) {
      for (const int64_t rollout :
           tiles_to_try(section.has(kRolloutTile), o.rollout_tiles.tile)) {
        auto& choice = out.emplace_back(o);
        choice.activation_checkpointing = checkpointed;
        choice.train_tiles.tile = train;
        choice.rollout_tiles.tile = rollout;
      }
    }
  }
  return out;
}

std::string words_of(const RunOptions& o) {
  return cat(kRolloutTile, " ", o.rollout_tiles.tile, ", ", kTrainTile, " ",
             o.train_tiles.tile, ", ", kCheckpointing, " ",
             o.activation_checkpointing ? "true" : "false");
}

/** Memory of the target's kind that such a forecast asks for. */
double needed(const RunOptions& o, const MemoryForecast& forecast) {
  return forecast.peak() / kUsable + (o.device.is_cpu() ? 0 : kOfDevice);
}

void choose(const Config& section, RunOptions& o) {
  const MemoryCount count(o);
  const double target = memory_size(o.memory);
  double least = std::numeric_limits<double>::infinity();
  std::string smallest, fullest;
  for (const auto& choice : choices(section, o)) {
    const auto forecast = count.of(choice);
    const double asked = needed(o, forecast);
    if (asked <= target) {
      o.rollout_tiles.tile = choice.rollout_tiles.tile;
      o.train_tiles.tile = choice.train_tiles.tile;
      o.activation_checkpointing = choice.activation_checkpointing;
      o.memory_choice = cat("compute.memory ", o.memory, ": ", words_of(o),
                            "; ", forecast.fullest().name, " peaks at about ",
                            size_text(forecast.peak()), " by count");
      return;
    }
    if (asked > least) continue;  // of equals the smallest tiles
    least = asked;
    smallest = words_of(choice);
    fullest = cat(forecast.fullest().name, " needs most; lower it by ",
                  forecast.fullest().keys);
  }
  section.note("memory",
               cat("\"", o.memory, "\" is too little: with ", smallest,
                   " this run needs at least ", size_text(least),
                   ", a margin of 15 % included; ", fullest));
  section.done();
}

}  // namespace

double memory_size(const std::string& text) {
  static const std::map<std::string, double> units = {
      {"MB", 1e6},
      {"GB", 1e9},
      {"TB", 1e12},
      {"MiB", double(1 << 20)},
      {"GiB", double(1 << 30)},
      {"TiB", 1024.0 * double(1 << 30)}};
  const auto end = text.find_first_not_of("0123456789.");
  const auto first = text.find_first_not_of(' ', end);
  if (end != std::string::npos && end > 0 && first != std::string::npos) {
    const auto unit = units.find(text.substr(first));
    const std::string number = text.substr(0, end);
    char* rest = nullptr;
    const double value = std::strtod(number.c_str(), &rest);
    if (unit != units.end() && *rest == '\0' && value > 0) {
      return value * unit->second;
    }
  }
  throw UsageError(cat("\"", text,
                       "\" is no size; a number and MB, MiB, GB, GiB, TB or "
                       "TiB is needed, such as 24GB"));
}

void read_memory_keys(const Config& section, RunOptions& o) {
  o.memory = section.text("memory", "");
  const bool given = !o.memory.empty();
  if (given) section.check("memory", [&] { memory_size(o.memory); });
  if (!given || section.has(kCheckpointing)) read_checkpointing(section, o);
  if (!given || section.has(kRolloutTile)) read_rollout_tile(section, o);
  if (!given || section.has(kTrainTile)) read_train_tile(section, o);
}

void choose_for_memory(const Config& section, RunOptions& o) {
  if (section.has(kCheckpointing) && section.has(kRolloutTile) &&
      section.has(kTrainTile)) {
    return;
  }
  if (take_recorded(section, o)) {
    o.memory_choice = cat("compute.memory ", o.memory, ": ", words_of(o),
                          ", as this run began");
  } else {
    choose(section, o);
  }
  read_checkpointing(section, o);
  read_rollout_tile(section, o);
  read_train_tile(section, o);
}

}  // namespace rsm
