// Pictures of other sizes than the network's own.

#include <gtest/gtest.h>

#include "rsm/base/testing.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

class SizeOn : public OnDevice {
 protected:
  RunOptions options(const std::string& model, const std::string& size) const {
    return read_run_options(Config::parse(
        cat("name: size\nfolder: ", folder_ / "run", "\nmodel: ", model,
            "\nreward: jpeg-compressibility\nmethod: {name: tempflow-grpo, "
            "estimator: {branches: [2, 0, 2, 0]}}\n"
            "prompts: {per_epoch: 2}\n"
            "sampling: {steps: 4, guidance_scale: 1, size: ",
            size,
            "}\ntrain: {lora: {rank: 2}, epochs: 1}\n"
            "evaluation: {images: 8, steps: 3}\n"
            "compute: {device: ",
            device().str(), ", rollout_tile: 4, train_tile: 4}\n"),
        "size.yaml"));
  }
  TemporaryFolder folder_;
};
RSM_ON_EVERY_DEVICE(SizeOn);

TEST_P(SizeOn, RunsTrainAndEvaluateAtTheSizeOfTheConfig) {
  const auto run = options("models/shapes-diffusion", "[24, 40]");
  EXPECT_EQ(read_run_options(Config::parse(run.resolved, "resolved")).size,
            run.size);
  const auto log = run_to_end(run);
  EXPECT_GT(log.back()["by_step"]["rows"][0].get<int64_t>(), 0);
  // Eight pictures beside each other, twice as large, two pixels between.
  EXPECT_EQ(read_png(folder_ / "run/samples/after.png").sizes(),
            at::IntArrayRef({3, 2 * 24, 8 * (2 * 40 + 2) - 2}));
}

TEST_P(SizeOn, WhatTheNetworkDoesNotTakeIsSaidBeforeTraining) {
  expect_parts(
      error_of([&] { run_to_end(options("models/shapes-flow", "[33, 32]")); }),
      {"latents of 33x32", "multiples"});
  EXPECT_FALSE(is_there(folder_ / "run/log.jsonl"));
  expect_parts(error_of([&] { options("models/shapes-flow", "[1, 2, 3]"); }),
               {"size.yaml:", "sampling.size", "[height, width]"});
  EXPECT_TRUE(options("models/shapes-flow", "0").size.empty());
  EXPECT_EQ(options("models/shapes-flow", "16").size,
            (std::vector<int64_t>{16, 16}));
}

}  // namespace
}  // namespace rsm
