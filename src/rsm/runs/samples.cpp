#include "rsm/runs/samples.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kColumns = 8;
constexpr int64_t kRows = 12;      ///< where no category needs more
constexpr int64_t kMostRows = 48;  ///< further categories are left out
constexpr int64_t kGap = 2;        ///< pixels
constexpr int64_t kLargestTile = 128;
constexpr int64_t kMostZoom = 2;

/** Pictures of the grid: the first ones of every category in turn. */
std::vector<int64_t> grid_pictures(const EvaluationSet& set) {
  std::map<std::string, std::vector<int64_t>> index;
  std::vector<std::string> categories;
  for (int64_t i = 0; i < set.size(); ++i) {
    auto& members = index[set.prompts[i].category];
    if (members.empty()) {
      categories.push_back(set.prompts[i].category);
    }
    members.push_back(i);
  }
  const auto per_category =
      std::max<int64_t>(1, kRows / static_cast<int64_t>(categories.size()) / 2);
  std::vector<int64_t> chosen;
  for (const auto& category : categories) {
    const auto& members = index[category];
    const auto count = std::min<int64_t>(per_category * kColumns,
                                         static_cast<int64_t>(members.size()));
    chosen.insert(chosen.end(), members.begin(), members.begin() + count);
  }
  chosen.resize(std::min<size_t>(chosen.size(), kColumns * kMostRows));
  return chosen;
}

/** The chosen images as tiles of at most kLargestTile, small ones enlarged. */
torch::Tensor grid_of(const torch::Tensor& images,
                      const std::vector<int64_t>& chosen) {
  const int64_t height = images.size(2), width = images.size(3);
  const int64_t side = std::max(height, width);
  const int64_t tile = std::min(side, kLargestTile);
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, length * tile / side);
  };
  std::vector<torch::Tensor> tiles;
  for (const int64_t i : chosen) {
    tiles.push_back(
        at::adaptive_avg_pool2d(images[i], {scaled(height), scaled(width)}));
  }
  return image_grid(at::stack(tiles), kColumns, kGap,
                    std::min(kMostZoom, kLargestTile / tile));
}

/** What prompts.json says so far; nothing where it is new or damaged. */
nlohmann::json known_prompts(const std::string& path,
                             std::vector<std::string>& problems) {
  if (!is_there(path)) return nlohmann::json::object();
  try {
    auto known = read_json(path);
    if (known.is_object()) return known;
    problems.push_back(cat(path, " is no JSON object and is written anew"));
  } catch (const std::exception& error) {
    problems.push_back(
        cat(path, " cannot be read and is written anew: ", error.what()));
  }
  return nlohmann::json::object();
}

void pair_with_start(const std::string& folder, Evaluation& evaluation) {
  try {
    pair_with(read_picture_scores(folder + "/scores-before.json"), evaluation);
  } catch (const std::exception& error) {
    evaluation.warnings.push_back(
        cat("the change since before training has no error, so nothing is "
            "claimed of it: ",
            error.what()));
  }
}

}  // namespace

void keep_evaluation(const std::string& run_folder, const std::string& name,
                     const std::string& metric, const EvaluationSet& set,
                     Evaluation& evaluation) {
  const std::string folder = run_folder + "/samples";
  auto& problems = evaluation.warnings;
  if (name != "before") pair_with_start(folder, evaluation);
  const auto keep = [&](const std::string& what,
                        const std::function<void(const std::string&)>& write) {
    const std::string path = folder + "/" + what;
    try {
      make_folders(folder);
      write(path);
    } catch (const std::exception& error) {
      problems.push_back(cat(path, " is not kept: ", error.what()));
    }
  };
  const auto chosen = grid_pictures(set);
  keep(name + ".png", [&](const std::string& path) {
    write_png(path, grid_of(evaluation.images, chosen));
  });
  keep("prompts.json", [&](const std::string& path) {
    auto about = known_prompts(path, problems);
    const auto count = static_cast<int64_t>(chosen.size());
    about["columns"] = kColumns;
    about["rows"] = (count + kColumns - 1) / kColumns;
    about["prompts"] = nlohmann::json::array();
    auto& scores = about[metric + "_" + name] = nlohmann::json::array();
    const auto& all = evaluation.pictures.metrics;
    const auto main = all.find(metric);
    const auto& values = main == all.end() ? all.at("reward") : main->second;
    for (const int64_t i : chosen) {
      about["prompts"].push_back(set.prompts[i].text);
      scores.push_back(values[i]);
    }
    write_json_atomic(path, about);
  });
  keep("scores-" + name + ".json", [&](const std::string& path) {
    write_picture_scores(path, evaluation.pictures);
  });
}

}  // namespace rsm
