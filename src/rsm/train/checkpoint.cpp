#include "rsm/train/checkpoint.h"

#include <torch/version.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <map>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKept = 2;

std::string stem_of(int64_t epoch) {
  std::ostringstream name;
  name << "epoch-" << std::setw(6) << std::setfill('0') << epoch;
  return name.str();
}

/** Finished checkpoints, newest first. */
std::vector<fs::path> finished(const std::string& run_folder) {
  std::vector<fs::path> found;
  const fs::path folder = fs::path(run_folder) / "checkpoints";
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".json") {
        found.push_back(entry.path());
      }
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

fs::path tensors_of(fs::path json) {
  return json.replace_extension(".safetensors");
}

void flatten(const YAML::Node& node, const std::string& prefix,
             std::map<std::string, std::string>& out) {
  if (node.IsMap()) {
    for (const auto& item : node) {
      const auto key = item.first.as<std::string>();
      flatten(item.second, prefix.empty() ? key : prefix + "." + key, out);
    }
    return;
  }
  out[prefix] = YAML::Dump(node);
}

/** A config's values by key. Of the rewards, names and weights: how long one
 * may take and how often it is asked again changes no number. */
std::map<std::string, std::string> values_of(const std::string& config) {
  std::map<std::string, std::string> out;
  const auto node = YAML::Load(config);
  flatten(node, "", out);
  if (out.erase("rewards") > 0) {
    std::vector<std::string> names;
    for (const auto& reward : node["rewards"]) {
      const auto weight = reward["weight"].as<std::string>("1");
      const auto name = reward["name"].as<std::string>("");
      names.push_back(weight == "1" ? name : cat(weight, " * ", name));
    }
    out["reward"] = join(names, " + ");
  }
  return out;
}

}  // namespace

void save_checkpoint(const std::string& run_folder,
                     const Checkpoint& checkpoint) {
  const fs::path folder = fs::path(run_folder) / "checkpoints";
  fs::create_directories(folder);
  const fs::path base = folder / stem_of(checkpoint.epoch);
  const std::string tensors = base.string() + ".safetensors";
  write_safetensors(tensors, checkpoint.tensors);
  write_json_atomic(base.string() + ".json",
                    {{"epoch", checkpoint.epoch},
                     {"sha256", file_checksum(tensors)},
                     {"counters", checkpoint.counters}});
  const auto all = finished(run_folder);
  for (size_t i = kKept; i < all.size(); ++i) {
    fs::remove(all[i]);  // first the mark, then the data
    fs::remove(tensors_of(all[i]));
  }
}

std::optional<Checkpoint> latest_checkpoint(const std::string& run_folder,
                                            std::vector<std::string>& damaged) {
  for (const auto& path : finished(run_folder)) {
    const std::string tensors = tensors_of(path).string();
    try {
      const auto mark = read_json(path.string());
      RSM_CHECK(file_checksum(tensors) == mark.at("sha256"), "[checkpoint] ",
                tensors, " has another checksum");
      return Checkpoint{mark.at("epoch").get<int64_t>(),
                        read_safetensors(tensors).tensors, mark.at("counters")};
    } catch (const std::exception& failure) {
      damaged.push_back(cat(tensors, ": ", failure.what()));
    }
  }
  return std::nullopt;
}

std::vector<std::string> changed_keys(const std::string& before,
                                      const std::string& after) {
  static const std::vector<std::string> free = {"train.epochs",
                                                "train.max_minutes",
                                                "train.max_images",
                                                "checkpoint.every",
                                                "evaluation.every",
                                                "evaluation.every_minutes",
                                                "compute.threads",
                                                "folder",
                                                "label"};
  const auto old_values = values_of(before);
  const auto new_values = values_of(after);
  std::vector<std::string> changed;
  // A falling learning rate depends on how many epochs there are.
  const auto schedule = new_values.find("train.lr_schedule");
  const bool falling =
      schedule != new_values.end() && schedule->second == "linear";
  const auto note = [&](const std::string& key, const std::string& from,
                        const std::string& to) {
    if ((falling && key == "train.epochs") ||
        std::find(free.begin(), free.end(), key) == free.end()) {
      changed.push_back(cat(key, ": ", from, " -> ", to));
    }
  };
  for (const auto& [key, value] : old_values) {
    const auto found = new_values.find(key);
    if (found == new_values.end()) {
      note(key, value, "(gone)");
    } else if (found->second != value) {
      note(key, value, found->second);
    }
  }
  for (const auto& [key, value] : new_values) {
    if (old_values.count(key) == 0) {
      note(key, "(absent)", value);
    }
  }
  return changed;
}

std::string machine_fingerprint() {
  std::string cpu = "unknown CPU";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) {
      cpu = line.substr(line.find(':') + 2);
      break;
    }
  }
  return cat(cpu, ", LibTorch ", TORCH_VERSION);
}

}  // namespace rsm
