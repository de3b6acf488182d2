#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/image.h"

/** Run folders for tests; no part of the library includes this. */
namespace rsm::report {

/** Degrees of freedom of so many prompts that their number does not count. */
inline constexpr double kManyPrompts = 1e7;

inline nlohmann::json example_freedom(double freedom = kManyPrompts) {
  return {{"reward", freedom}, {"strict", freedom}, {"texture", freedom}};
}

/** A log line of an evaluation: 100 pictures, two categories; the change of
 * "strict" has an error of 0.069, 0.1 in a category. */
inline nlohmann::json evaluation_line(int64_t epoch, double strict,
                                      double counting, double texture) {
  const auto errors = [](double of_strict) -> nlohmann::json {
    return {{"reward", 0.02}, {"strict", of_strict}, {"texture", 1e-6}};
  };
  const auto category = [&](double mean) -> nlohmann::json {
    return {{"strict", mean},
            {"images", 50},
            {"errors", {{"strict", 0.07}}},
            {"freedom", example_freedom()},
            {"change_errors", errors(0.1)},
            {"change_freedom", example_freedom()}};
  };
  return {{"epoch", epoch},
          {"wall_s", 60.0 * static_cast<double>(epoch) + 12},
          {"images", 256 * epoch},
          {"eval_reward", 0.9},
          {"eval",
           {{"images", 100},
            {"reward", 0.9},
            {"metrics", {{"strict", strict}, {"texture", texture}}},
            {"errors", {{"strict", 0.05}, {"reward", 0.03}}},
            {"freedom", example_freedom()},
            {"change_errors", errors(0.069)},
            {"change_freedom", example_freedom()},
            {"kl", 0.001 * static_cast<double>(epoch)},
            {"by_category",
             {{"counting", category(counting)},
              {"two_colors", category(2 * strict - counting)}}}}}};
}

/** The same with another metric beside, and the error of its change. */
inline nlohmann::json with_metric(nlohmann::json line, const std::string& name,
                                  double mean, double error) {
  line["eval"]["metrics"][name] = mean;
  line["eval"]["change_errors"][name] = error;
  line["eval"]["change_freedom"][name] = kManyPrompts;
  return line;
}

/** 0.40 -> 0.60 over epochs 0, 1 and 2; epoch 1 is not evaluated. */
inline std::vector<nlohmann::json> example_log() {
  const nlohmann::json training = {{"reward", 0.7},
                                   {"reward_std", 0.2},
                                   {"groups", 40},
                                   {"dead_groups", 4},
                                   {"clip_fraction", 0.05},
                                   {"kl", 0.0008},
                                   {"loss", -0.001},
                                   {"grad_norm", 0.4},
                                   {"lr", 3e-4},
                                   {"rollout_gap", 0.0},
                                   {"by_step",
                                    {{"step", {0, 1, 2}},
                                     {"t", {1.0, 0.9, 0.7}},
                                     {"rows", {8, 4, 2}},
                                     {"reward_spread", {0.2, 0.1, nullptr}},
                                     {"dead_share", {0.0, 0.1, 0.4}},
                                     {"clip_fraction", {0.01, 0.02, 0.03}},
                                     {"kl", {0.001, 0.0005, 0.0002}}}}};
  nlohmann::json between = {{"epoch", 1}, {"wall_s", 72.0}, {"images", 256}};
  auto last = evaluation_line(2, 0.60, 0.70, 2.2e-4);
  between.update(training);
  last.update(training);
  last["warnings"] = {"gap of 0.1"};
  return {evaluation_line(0, 0.40, 0.20, 2e-4), between, last};
}

/** What an epoch's line says of three rewards, the last of weight 0: what
 * "beauty" adds has the total's square, what "plain" adds 0.4 of it. */
inline nlohmann::json example_rewards(double beauty) {
  const auto said = [](double weight, double mean, double correlation,
                       double share) -> nlohmann::json {
    return {{"weight", weight}, {"mean", mean},
            {"std", 0.25},      {"groups", 40},
            {"dead_groups", 2}, {"correlation", correlation},
            {"share", share}};
  };
  return {{"beauty", said(1, beauty, 0.8, 0.8)},
          {"plain", said(-0.5, -beauty, 0.2 / std::sqrt(0.4), 0.2)},
          {"aside", said(0, 3, -0.5, 0)}};
}

inline nlohmann::json example_run() {
  return {{"name", "example"},
          {"label", ""},
          {"method",
           {{"name", "some_method"},
            {"source", "a paper"},
            {"summary", "Does what it says."}}},
          {"model", "small-flow"},
          {"guidance_scale", 1.5},
          {"steps", 3},
          {"reward",
           {{"name", "shapes"},
            {"main_metric", "strict"},
            {"watched", {"texture"}}}},
          {"prompts", {{"train", 80}, {"held_out", 20}}},
          {"schedule",
           {{{"step", 0}, {"t", 1.0}, {"branches", 8}, {"h", 0.7}},
            {{"step", 1}, {"t", 0.9}, {"branches", 4}, {"h", 0.3}},
            {{"step", 2}, {"t", 0.7}, {"branches", 0}, {"h", nullptr}}}},
          {"versions", {{"rsm", "0.1.0"}}},
          {"warnings", nlohmann::json::array()},
          {"finished", true},
          {"machine", "two cores"},
          {"seed", 7}};
}

/** Without waiting for the disk. */
inline void write_plain(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string log_text(const std::vector<nlohmann::json>& lines) {
  std::string text;
  for (const auto& line : lines) text += line.dump() + "\n";
  return text;
}

/** The config of such a run.json. */
inline std::string config_of(const nlohmann::json& run,
                             const std::string& lr = "0.0003") {
  return cat("name: ", run["name"],
             "\nfolder: somewhere\nmodel: ", run["model"],
             "\nseed: ", run["seed"], "\nreward: shapes\n",
             "method:\n  name: ", run["method"]["name"], "\n  estimator:\n",
             "    branches: [4, 2, 0]\nsampling:\n  steps: ", run["steps"],
             "\n  guidance_scale: ", run["guidance_scale"],
             "\ntrain:\n  lr: ", lr, "\n");
}

/** Two rows of three pictures of 8 pixels, two pixels apart. */
inline nlohmann::json write_samples(const std::string& folder) {
  std::filesystem::create_directories(folder + "/samples");
  const auto images = torch::zeros({6, 3, 4, 4});
  write_plain(folder + "/samples/before.png",
              encode_png(image_grid(images, 3, 2, 2)));
  write_plain(folder + "/samples/after.png",
              encode_png(image_grid(images + 0.5, 3, 2, 2)));
  const nlohmann::json said = {
      {"columns", 3},
      {"tile_width", 8},
      {"tile_height", 8},
      {"gap", 2},
      {"prompts", {"one", "two", "three", "four", "five", "six"}},
      {"strict_before", {0, 0, 1, 0, nullptr, 0}},
      {"strict_after", {1, 1, 1, 0, nullptr, 0}}};
  write_plain(folder + "/samples/prompts.json", said.dump());
  return said;
}

inline void write_run(const std::string& folder,
                      const std::vector<nlohmann::json>& log,
                      const nlohmann::json& run,
                      const std::string& lr = "0.0003") {
  std::filesystem::create_directories(folder);
  write_plain(folder + "/log.jsonl", log_text(log));
  write_plain(folder + "/run.json", run.dump());
  write_plain(folder + "/config.yaml", config_of(run, lr));
}

}  // namespace rsm::report
