#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/compare/compared_run.h"
#include "rsm/io/testing.h"
#include "rsm/report/run_testing.h"

/** What tests of comparisons share; no part of the library includes this. */
namespace rsm::report {

/** One evaluation of an example. A second of training is ten pictures and fifty
 * network evaluations. */
struct ExamplePoint {
  double seconds = 0;
  double strict = 0;
  double kl = 0;
  double texture = 1e-4;
  double diversity = 0.2;
};

/** A run whose pictures give "strict" an error of 0.046, 0.03 of its change. */
struct ExampleRun {
  uint64_t seed = 1;
  std::string lr = "0.001";
  std::string label = "";
  bool finished = true;
  std::vector<ExamplePoint> points = {
      {0, 0.4, 0}, {10, 0.5, 0.001}, {20, 0.6, 0.002}, {30, 0.7, 0.003}};

  std::string folder() const { return cat("lr", lr, "-", seed); }
};

inline std::vector<nlohmann::json> log_of(const ExampleRun& example) {
  std::vector<nlohmann::json> out;
  for (const auto& p : example.points) {
    auto line = evaluation_line(std::ssize(out), p.strict, p.strict, p.texture);
    line["train_s"] = p.seconds;
    line["images"] = 10 * p.seconds;
    line["evals"] = 50 * p.seconds;
    line["eval"]["kl"] = p.kl;
    line["eval"]["metrics"]["diversity"] = p.diversity;
    line["eval"]["errors"] = {{"strict", 0.046}};
    line["eval"]["change_errors"] = {{"strict", 0.03}};
    for (const char* key : {"freedom", "change_freedom"}) {
      line["eval"][key] = {{"strict", kManyPrompts}};
    }
    out.push_back(line);
  }
  return out;
}

inline void write_run(const std::string& folder, const ExampleRun& example) {
  auto run = example_run();
  run["seed"] = example.seed;
  run["label"] = example.label;
  run["finished"] = example.finished;
  write_run(folder, log_of(example), run, example.lr);
}

/** As its folder is read. */
inline ComparedRun read_example(const ExampleRun& example) {
  const TemporaryFolder folder;
  write_run(folder.path(), example);
  return read_compared_run(folder.path(), example.folder());
}

}  // namespace rsm::report
