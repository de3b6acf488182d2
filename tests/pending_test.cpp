// Runs whose reward fails: the pictures wait, and the run goes on from them.

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/run_log.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** Scores pictures by their mean red; fails as the file `mood` beside it says:
 * dies, faints (dies once), NaN, few, same. */
constexpr const char* kProgram = R"(
import json, math, os, pathlib, sys
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
    if now == "dies":
        os._exit(3)
    if now == "faints":
        mood.unlink()
        os._exit(4)
    if now == "NaN":
        scores[1] = math.nan
    if now == "few":
        scores.pop()
    if now == "same":
        scores = [0.5] * count
    print(json.dumps({"id": request["id"], "scores": scores}), flush=True)
)";

RunOptions options_of(const TemporaryFolder& folder, const std::string& name,
                      const std::string& setting) {
  return read_run_options(Config::parse(
      cat("name: ", name, "\nfolder: ", folder / name,
          "\nmodel: models/shapes-flow\nrewards: [{name: \"exec:python3 ",
          folder / "red.py", "\", retries: 0, batch: 5}]\n", R"(
method: {name: tempflow-grpo, estimator: {branches: [3, 2, 0, 0]}}
prompts: {per_epoch: 5}
sampling: {steps: 4, guidance_scale: 1}
train: {epochs: 2, weights: full, lr: 0.0001}
evaluation: {images: 6, steps: 2, every: 10}
checkpoint: {every: 1}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", {setting}));
}

class PendingOn : public OnDevice {
 protected:
  RunOptions options_of(const TemporaryFolder& folder,
                        const std::string& name) const {
    return rsm::options_of(folder, name, on_device());
  }
};
RSM_ON_EVERY_DEVICE(PendingOn);

TEST_P(PendingOn, PicturesOfAFailedRewardAreJudgedAgainAndNothingIsLost) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "red.py", kProgram);
  run_to_end(options_of(folder, "whole"));
  const auto options = options_of(folder, "mended");
  const std::string waiting = options.folder + "/pending-rollout.safetensors";
  {
    NoProgress silent;
    Finetune(options, silent).run_epoch();
  }
  for (const auto& [mood, word] :
       std::vector<std::pair<std::string, std::string>>{{"dies", "3"},
                                                        {"NaN", "image"},
                                                        {"few", "scores"},
                                                        {"same", "spread"}}) {
    write_file_atomic(folder / "mood", mood);
    expect_parts(error_of([&] { run_to_end(options); }), {word});
    EXPECT_TRUE(fs::exists(waiting)) << mood;
  }
  fs::remove(folder / "mood");
  run_to_end(options);
  EXPECT_FALSE(fs::exists(waiting));
  std::vector<std::string> damaged;
  const auto whole = latest_checkpoint(folder / "whole", damaged);
  const auto mended = latest_checkpoint(folder / "mended", damaged);
  ASSERT_TRUE(whole && mended);
  EXPECT_EQ(whole->epoch, 2);
  EXPECT_EQ(mended->epoch, 2);
  for (const auto& [name, tensor] : whole->tensors) {
    if (!repeats_its_bits()) break;
    EXPECT_TRUE(tensor.equal(mended->tensors.at(name))) << name;
  }
  const auto log = read_log(options.folder + "/log.jsonl");
  EXPECT_EQ(log.back().at("images"), 2 * 5 * 5);
}

TEST_P(PendingOn, WhatARewardMendsByItselfIsAWarningWithItsCount) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "red.py", kProgram);
  auto options = options_of(folder, "faint");
  options.rewards.front().retries = 1;
  NoProgress silent;
  write_file_atomic(folder / "mood", "faints");  // in the first evaluation
  Finetune run(options, silent);
  write_file_atomic(folder / "mood", "faints");
  const auto line = run.run_epoch();
  EXPECT_FALSE(fs::exists(folder / "mood"));
  const auto log = read_log(options.folder + "/log.jsonl");
  ASSERT_EQ(log.size(), 2u);
  ASSERT_EQ(log[0].at("warnings").size(), 1u) << log[0];
  expect_parts(log[0]["warnings"][0],
               {"in the evaluation, exec:", "exit status 4", "again, once"});
  EXPECT_NE(line.at("warnings").dump().find("exit status 4 and was started"),
            std::string::npos);
}

}  // namespace
}  // namespace rsm
