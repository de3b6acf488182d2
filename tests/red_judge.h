#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** A program that scores pictures by their mean red, and fails as its mood
 * says. */
class RedJudge {
 public:
  explicit RedJudge(const TemporaryFolder& folder)
      : program_(folder / "red.py"), mood_(folder / "mood") {
    write_file_atomic(program_, kProgram);
  }

  /** For a config: a list of this reward alone. */
  std::string rewards() const {
    return cat("rewards: [{name: \"exec:python3 ", program_,
               "\", retries: 0, batch: 6}]\n");
  }
  /** From now on: "dies", "faints" (dies once), "hangs", "NaN", "few", "same",
   * or "dies 6", where it is asked for 6 pictures; "" is none. */
  void set_mood(const std::string& mood) const {
    write_file_atomic(mood_, mood);
  }
  bool has_mood() const { return !read_file(mood_).empty(); }

 private:
  static constexpr const char* kProgram = R"(
import json, math, os, pathlib, sys, time
mood = pathlib.Path(__file__).with_name("mood")
print(json.dumps({"ready": True, "name": "red"}), flush=True)
while line := sys.stdin.buffer.readline():
    request = json.loads(line)
    count = request["count"]
    size = request["height"] * request["width"] * 3
    data = sys.stdin.buffer.read(count * size)
    scores = [sum(data[i * size:(i + 1) * size:3]) / size / 85
              for i in range(count)]
    now = mood.read_text() if mood.exists() else ""
    if now == "dies" or now == f"dies {count}":
        os._exit(3)
    if now == "faints":
        mood.write_text("")
        os._exit(4)
    if now == "hangs":
        time.sleep(1000)
    if now == "NaN":
        scores[1] = math.nan
    if now == "few":
        scores.pop()
    if now == "same":
        scores = [0.5] * count
    print(json.dumps({"id": request["id"], "scores": scores}), flush=True)
)";

  std::string program_, mood_;
};

/** A run that it judges. Evaluations are of 6 pictures, parts of a rollout of
 * 3. */
inline RunOptions judged_run(const TemporaryFolder& folder,
                             const std::string& name,
                             const std::vector<std::string>& overrides = {}) {
  return read_run_options(Config::parse(
      cat("name: ", name, "\nfolder: ", folder / name,
          "\nmodel: models/shapes-flow\n", RedJudge(folder).rewards(), R"(
method: {name: rsm-flow, estimator: {branches: [3, 0, 0, 0]}}
prompts: {per_epoch: 4}
sampling: {steps: 4, guidance_scale: 1}
train: {epochs: 3, weights: full, lr: 0.0001}
evaluation: {images: 6, steps: 2, every: 2}
checkpoint: {every: 10}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", overrides));
}

}  // namespace rsm
