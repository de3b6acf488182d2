#include "rsm/runs/samples.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/data/sample_sheet.h"
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

/** Scores of the pictures that are shown. */
std::vector<double> shown_scores(const EvaluationSet& set,
                                 const std::string& metric,
                                 const Evaluation& evaluation) {
  const auto& all = evaluation.pictures.metrics;
  const auto main = all.find(metric);
  const auto& values = main == all.end() ? all.at("reward") : main->second;
  std::vector<double> out;
  for (const int64_t i : set.shown) out.push_back(values[i]);
  return out;
}

/** What the grid of an evaluation shows. */
SampleSheet sheet_of(const EvaluationSet& set, const std::string& metric,
                     const Evaluation& evaluation) {
  const auto& tiles = evaluation.thumbnails;
  SampleSheet out;
  out.epoch = evaluation.pictures.epoch;
  out.columns = kShownColumns;
  out.tile_width = tiles.size(3) * zoom_of(tiles);
  out.tile_height = tiles.size(2) * zoom_of(tiles);
  out.gap = kGap;
  out.metric = metric;
  out.seed = set.seed;
  for (const int64_t i : set.shown) {
    out.prompts.push_back(set.prompts[i].text);
    out.members.push_back(set.members[i]);
  }
  out.scores = shown_scores(set, metric, evaluation);
  return out;
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
  const auto sheet = sheet_of(set, metric, evaluation);
  const auto grid = image_grid(evaluation.thumbnails, sheet.columns, sheet.gap,
                               zoom_of(evaluation.thumbnails));
  keep(name + ".png", [&](const std::string& path) { write_png(path, grid); });
  keep(sample_sheet_name(sheet.epoch),
       [&](const std::string& path) { write_sample_sheet(path, sheet, grid); });
  keep("prompts.json", [&](const std::string& path) {
    auto about = known_prompts(path, problems);
    about["columns"] = sheet.columns;
    about["tile_width"] = sheet.tile_width;
    about["tile_height"] = sheet.tile_height;
    about["gap"] = sheet.gap;
    about["prompts"] = sheet.prompts;
    about[metric + "_" + name] = sheet.scores;
    write_json_atomic(path, about);
  });
  keep("scores-" + name + ".json", [&](const std::string& path) {
    write_picture_scores(path, evaluation.pictures);
  });
}

}  // namespace rsm
