#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/compare/compared_run.h"

/** What tests of comparisons share; no part of the library includes this. */
namespace rsm::report {

/** One evaluation of an example: 100 pictures. A second of training is ten
 * pictures and fifty network evaluations. */
struct ExamplePoint {
  double seconds = 0;
  double strict = 0;
  double kl = 0;
  double texture = 1e-4;
  double diversity = 0.2;
};

/** A finished run, in memory or on disk. */
struct ExampleRun {
  uint64_t seed = 1;
  std::string lr = "0.001";
  std::string label = "";
  bool finished = true;
  std::vector<ExamplePoint> points = {
      {0, 0.4, 0}, {10, 0.5, 0.001}, {20, 0.6, 0.002}, {30, 0.7, 0.003}};
  std::string name = "example";
  std::string guidance = "1.5";
  double freedom = 1e7;  ///< of the errors
};

inline ComparedRun in_memory(const ExampleRun& example) {
  ComparedRun run;
  run.folder = cat("lr", example.lr, "-", example.seed);
  run.label = example.label;
  run.method = "some_method";
  run.main_metric = "strict";
  run.machine = "two cores";
  run.seed = example.seed;
  run.finished = example.finished;
  run.watched = {"texture"};
  run.config = {{"model", "small-flow"},
                {"sampling.guidance_scale", example.guidance},
                {"train.lr", example.lr}};
  for (const auto& p : example.points) {
    EvaluationPoint point;
    point.epoch = static_cast<int64_t>(run.points.size());
    point.cost = {p.seconds, 10 * p.seconds, 50 * p.seconds};
    point.kl = p.kl;
    point.scores = {100,
                    {{"strict", p.strict},
                     {"texture", p.texture},
                     {"diversity", p.diversity}},
                    {{"strict", {0.046, example.freedom}}},
                    {{"strict", {0.03, example.freedom}}}};
    run.points.push_back(point);
  }
  return run;
}

inline std::vector<nlohmann::json> log_of(const ExampleRun& example) {
  std::vector<nlohmann::json> out;
  for (const auto& p : example.points) {
    out.push_back({{"epoch", out.size()},
                   {"train_s", p.seconds},
                   {"images", 10 * p.seconds},
                   {"evals", 50 * p.seconds},
                   {"eval_reward", 0.9},
                   {"eval",
                    {{"images", 100},
                     {"reward", 0.9},
                     {"metrics",
                      {{"strict", p.strict},
                       {"texture", p.texture},
                       {"diversity", p.diversity}}},
                     {"errors", {{"strict", 0.046}}},
                     {"freedom", {{"strict", example.freedom}}},
                     {"change_errors", {{"strict", 0.03}}},
                     {"change_freedom", {{"strict", example.freedom}}},
                     {"kl", p.kl}}}});
  }
  return out;
}

inline nlohmann::json run_json_of(const ExampleRun& example) {
  return {{"name", example.name},
          {"label", example.label},
          {"method", {{"name", "some_method"}}},
          {"model", "small-flow"},
          {"guidance_scale", std::stod(example.guidance)},
          {"steps", 3},
          {"seed", example.seed},
          {"reward",
           {{"name", "shapes"},
            {"main_metric", "strict"},
            {"watched", {"texture"}}}},
          {"machine", "two cores"},
          {"finished", example.finished}};
}

inline std::string config_of(const ExampleRun& example) {
  return cat("name: ", example.name, "\nfolder: somewhere\nmodel: small-flow\n",
             "seed: ", example.seed, "\nreward: shapes\n",
             "method:\n  name: some_method\n  estimator:\n",
             "    branches: [4, 2, 0]\n", "sampling:\n  steps: 3\n",
             "  guidance_scale: ", example.guidance,
             "\ntrain:\n  lr: ", example.lr, "\n");
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline void write_log(const std::string& folder,
                      const std::vector<nlohmann::json>& lines) {
  std::string text;
  for (const auto& line : lines) text += line.dump() + "\n";
  write_text(folder + "/log.jsonl", text);
}

inline void write_run(const std::string& folder, const ExampleRun& example) {
  std::filesystem::create_directories(folder);
  write_log(folder, log_of(example));
  write_text(folder + "/run.json", run_json_of(example).dump());
  write_text(folder + "/config.yaml", config_of(example));
}

}  // namespace rsm::report
