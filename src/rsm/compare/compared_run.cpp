#include "rsm/compare/compared_run.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm::report {
namespace {

namespace fs = std::filesystem;

/** Keys of the config that say which run it is, not what it does. */
constexpr std::array<const char*, 4> kIdentity = {"name", "label", "folder",
                                                  "seed"};

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
  ComparedRun out = {read_run(folder), name, std::nullopt};
  RSM_CHECK(out.log_problems.empty(), "[compare] ", join(out.log_problems),
            "; a comparison needs all of them, leave the folder out");
  for (const char* key : kIdentity) out.config.erase(key);
  if (const auto points = out.evaluated(); !points.empty()) {
    out.pictures = read_pictures(folder, points.back()->epoch);
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
