// What memory runs take: counted before, and told where there is less.

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/run_log.h"
#include "rsm/io/testing.h"
#include "rsm/runs/memory_forecast.h"

namespace rsm {
namespace {

TEST(OutOfMemory, IsToldWithTheStationTheSizeAndTheKeyThatLowersIt) {
  const TemporaryFolder folder;
  const std::string said = folder / "said.txt";
  // A tile of which one layer's activations have 2 GiB, within 3.5 GB.
  const int status = std::system(
      cat("ulimit -v 3500000; ", RSM_BINARY_DIR,
          "/rsm finetune configs/shapes/demo.yaml --set folder=",
          folder / "run",
          " --set evaluation.images=6 --set evaluation.steps=2"
          " --set compute.threads=1 --set compute.rollout_tile=65536 >",
          said, " 2>&1")
          .c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const auto text = read_file(said);
  expect_parts(text, {"out of memory", "an evaluation", "iB",
                      "compute.rollout_tile (65536)", "evaluation.images (6)"});
  EXPECT_EQ(text.find("frame #"), std::string::npos) << text;
}

TEST(CountedMemory, IsWhatARunTakes) {
  const TemporaryFolder folder;
  for (const std::string tile : {"64", "16"}) {
    const std::vector<std::string> settings = {
        "folder=" + folder / tile, "train.epochs=2",
        "train.max_minutes=0",     "train.lr_schedule=constant",
        "evaluation.images=12",    "compute.threads=2",
        "compute.rollout_tile=4",  "compute.train_tile=" + tile};
    const std::string config = "configs/shapes/demo.yaml";
    std::string command = cat(RSM_BINARY_DIR, "/rsm finetune ", config);
    for (const auto& setting : settings) command += " --set " + setting;
    ASSERT_EQ(std::system((command + " > /dev/null 2>&1").c_str()), 0);
    const auto options = read_run_options(Config::load(config, settings));
    const auto log = read_log(folder / tile + "/log.jsonl");
    const double taken = log.back().at("peak_memory_mb");
    const double counted = MemoryCount(options).of(options).peak() / (1 << 20);
    EXPECT_NEAR(counted / taken, 1, 0.15)
        << "tile " << tile << ": counted " << counted << ", taken " << taken;
  }
}

}  // namespace
}  // namespace rsm
