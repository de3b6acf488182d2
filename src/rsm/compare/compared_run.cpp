#include "rsm/compare/compared_run.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/io/config_values.h"
#include "rsm/io/files.h"

namespace rsm::report {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/** Keys of the config that say which run it is, not what it does. */
constexpr std::array<const char*, 4> kIdentity = {"name", "label", "folder",
                                                  "seed"};

/** What run.json repeats of the config. */
struct Repeated {
  const char* run_json;  ///< a JSON pointer
  const char* config;
};
constexpr std::array<Repeated, 6> kRepeated = {
    {{"/name", "name"},
     {"/seed", "seed"},
     {"/model", "model"},
     {"/method/name", "method.name"},
     {"/guidance_scale", "sampling.guidance_scale"},
     {"/steps", "sampling.steps"}}};

/** Totals of the log that can only grow. */
constexpr std::array<const char*, 3> kTotals = {"train_s", "images", "evals"};

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

/** Also for "1" and "1.0". */
bool same_value(const std::string& a, const std::string& b) {
  const auto x = number_of(a), y = number_of(b);
  return a == b || (x && y && *x == *y);
}

/** "" where there is nothing. */
std::string text_at(const json& run, const std::string& pointer) {
  const json::json_pointer place(pointer);
  if (!run.contains(place) || run[place].is_null()) return "";
  const auto& value = run[place];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

uint64_t seed_of(const json& run, const std::string& folder) {
  const bool known = run.contains("seed") && run["seed"].is_number_unsigned();
  RSM_CHECK(known, "[compare] ", folder, "/run.json has the seed \"",
            text_at(run, "/seed"), "\"; a seed is a whole number from 0 on");
  return run["seed"].get<uint64_t>();
}

void check_same_story(const std::string& folder, const json& run,
                      const std::map<std::string, std::string>& config) {
  for (const auto& [pointer, key] : kRepeated) {
    const std::string said = text_at(run, pointer);
    const auto found = config.find(key);
    const std::string configured = found == config.end() ? "" : found->second;
    RSM_CHECK(same_value(said, configured), "[compare] ", folder,
              "/run.json says ", pointer, " = \"", said, "\" and config.yaml ",
              key, " = \"", configured,
              "\"; both were written by one run and must agree; leave the "
              "folder out or run it again");
  }
}

/** Epochs 0, 1, 2, ... one a line, and totals that never shrink. */
void check_log(const std::string& path) {
  std::istringstream lines(read_file(path));
  std::map<std::string, double> totals;
  int64_t number = 0, epoch = 0;
  for (std::string text; std::getline(lines, text);) {
    const auto where = cat("[compare] ", path, ":", ++number, ": ");
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto line = json::parse(text, nullptr, false);
    // The half-written last line of a killed run.
    if (line.is_discarded()) break;
    RSM_CHECK(line["epoch"] == epoch, where, "epoch ", line["epoch"].dump(),
              " arrived where epoch ", epoch,
              " is due; a log has every epoch from 0 on, once; leave the "
              "folder out or run it again");
    for (const char* total : kTotals) {
      const auto found = line.find(total);
      if (found == line.end() || !found->is_number()) continue;
      const double value = found->get<double>();
      const auto [before, first] = totals.try_emplace(total, value);
      RSM_CHECK(value >= 0 && (first || value >= before->second), where,
                "epoch ", epoch, " has ", total, " = ", value,
                first ? "" : cat(" after ", before->second),
                "; totals start at 0 or above and never shrink; leave the "
                "folder out or run it again");
      before->second = value;
    }
    ++epoch;
  }
}

EvaluationPoint point_of(const EpochRecord& line) {
  return {line.epoch,
          {line.number("train_s"), line.number("images"), line.number("evals")},
          line.evaluation->kl,
          line.evaluation->all};
}

/** Of the evaluation at this epoch. */
std::optional<PictureScores> read_pictures(const std::string& folder,
                                           int64_t epoch) {
  try {
    auto scores = read_picture_scores(
        folder + (epoch == 0 ? "/samples/scores-before.json"
                             : "/samples/scores-after.json"));
    if (scores.epoch == epoch) return scores;
  } catch (const Error&) {
    // Nothing is paired then, which comparisons say where it matters.
  }
  return std::nullopt;
}

/** The deepest folder that holds all of the sorted paths. */
fs::path common_parent(const std::vector<std::string>& sorted) {
  const fs::path first = sorted.front(), last = sorted.back();
  fs::path common;
  auto other = last.begin();
  for (const auto& part : first.parent_path()) {
    if (other == last.end() || *other != part) break;
    common /= part;
    ++other;
  }
  return common;
}

void add_runs_below(const fs::path& folder, std::vector<std::string>& out) {
  if (is_there(folder / "log.jsonl")) {
    out.push_back(fs::canonical(folder).string());
    return;
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool inside = entry.is_directory() && !entry.is_symlink();
    if (inside) add_runs_below(entry.path(), out);
  }
}

}  // namespace

std::string ComparedRun::value(const std::string& key) const {
  const auto found = config.find(key);
  return found == config.end() ? "" : found->second;
}

std::vector<std::string> find_runs(const std::vector<std::string>& paths) {
  std::vector<std::string> found;
  for (const auto& path : paths) {
    const size_t before = found.size();
    try {
      if (is_folder(path)) add_runs_below(path, found);
    } catch (const fs::filesystem_error& error) {
      throw UsageError(cat("[compare] cannot look for runs below ", path, ": ",
                           error.what(),
                           "; allowed: folders that can be read"));
    }
    if (found.size() == before) {
      throw UsageError(cat("[compare] ", path,
                           " holds no run; allowed: run folders, which have a "
                           "log.jsonl, and folders of run folders"));
    }
  }
  std::sort(found.begin(), found.end());
  const auto twice = std::adjacent_find(found.begin(), found.end());
  if (twice != found.end()) {
    throw UsageError(cat("[compare] ", *twice,
                         " was given twice; each run counts once; name it, or "
                         "a folder above it, but not both"));
  }
  return found;
}

ComparedRun read_compared_run(const std::string& folder,
                              const std::string& name) {
  for (const char* file : {"run.json", "config.yaml"}) {
    RSM_CHECK(is_there(fs::path(folder) / file), "[compare] ", folder,
              " has no ", file,
              "; every run writes one when it starts, and a comparison needs "
              "it; leave the folder out or run it again");
  }
  const auto record = read_run(folder);
  check_log(folder + "/log.jsonl");
  ComparedRun out;
  out.config =
      config_values(*parse_config(record.config, folder + "/config.yaml"));
  const auto run = read_json(folder + "/run.json");
  check_same_story(folder, run, out.config);
  for (const char* key : kIdentity) out.config.erase(key);
  out.folder = name;
  out.label = text_at(run, "/label");
  out.method = record.method;
  out.main_metric = record.main_metric;
  out.machine = text_at(run, "/machine");
  out.seed = seed_of(run, folder);
  out.finished = record.finished;
  for (const auto& line : record.epochs) {
    if (line.evaluation) out.points.push_back(point_of(line));
  }
  out.watched = record.watched;
  if (!out.points.empty()) {
    out.pictures = read_pictures(folder, out.points.back().epoch);
  }
  return out;
}

std::vector<ComparedRun> read_compared_runs(
    const std::vector<std::string>& paths) {
  const auto folders = find_runs(paths);
  if (folders.empty()) throw UsageError("[compare] no run was given");
  const auto parent = common_parent(folders);
  std::vector<ComparedRun> runs;
  for (const auto& folder : folders) {
    const auto name = fs::path(folder).lexically_relative(parent).string();
    runs.push_back(read_compared_run(folder, name));
  }
  return runs;
}

}  // namespace rsm::report
