#include "rsm/runs/samples.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kGap = 2;  ///< pixels
constexpr int64_t kMostZoom = 2;

/** How much small pictures are enlarged. */
int64_t zoom_of(const torch::Tensor& tiles) {
  return std::min(kMostZoom,
                  kThumbnail / std::max(tiles.size(2), tiles.size(3)));
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
  keep(name + ".png", [&](const std::string& path) {
    const auto& tiles = evaluation.thumbnails;
    write_png(path, image_grid(tiles, kShownColumns, kGap, zoom_of(tiles)));
  });
  keep("prompts.json", [&](const std::string& path) {
    auto about = known_prompts(path, problems);
    const auto& tiles = evaluation.thumbnails;
    about["columns"] = kShownColumns;
    about["tile_width"] = tiles.size(3) * zoom_of(tiles);
    about["tile_height"] = tiles.size(2) * zoom_of(tiles);
    about["gap"] = kGap;
    about["prompts"] = nlohmann::json::array();
    auto& scores = about[metric + "_" + name] = nlohmann::json::array();
    const auto& all = evaluation.pictures.metrics;
    const auto main = all.find(metric);
    const auto& values = main == all.end() ? all.at("reward") : main->second;
    for (const int64_t i : set.shown) {
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
