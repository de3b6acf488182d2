// The whole command: a table of runs, killed and continued.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

const std::string kProgram = std::string(RSM_BINARY_DIR) + "/rsm";

std::string write_sweep(const TemporaryFolder& folder,
                        const std::string& name) {
  write_file_atomic(
      folder / "base.yaml",
      "name: base\n"
      "model: models/shapes-flow\n"
      "method:\n"
      "  name: tempflow-grpo\n"
      "  estimator:\n"
      "    branches: [3, 2, 0, 0]\n"
      "prompts: {per_epoch: 3}\n"
      "sampling: {steps: 5, guidance_scale: 1, continuation_steps: 2}\n"
      "train: {epochs: 2, lr: 0.001}\n"
      "evaluation: {images: 6, steps: 4, every: 2}\n"
      "checkpoint: {every: 1}\n");
  const std::string path = folder / (name + ".yaml");
  write_file_atomic(path, cat("name: ", name, "\nfolder: ", folder / name,
                              "\nconfig: ", folder / "base.yaml",
                              "\nseeds: [1, 2]\n"
                              "settings:\n"
                              "  - label: weak\n"
                              "  - label: strong\n"
                              "    set: [train.lr=0.002]\n"));
  return path;
}

/** Runs it, or a part, to its end; what it printed. */
std::string said_by(const TemporaryFolder& folder, const std::string& sweep,
                    const std::string& part = "1/1") {
  const std::string out = folder / "table.json";
  const std::string command = cat(kProgram, " sweep ", sweep, " --json --part ",
                                  part, " >", out, " 2>/dev/null");
  EXPECT_EQ(std::system(command.c_str()), 0);
  return read_file(out);
}

/** Without what the clock says. */
nlohmann::json timeless(nlohmann::json value) {
  if (value.is_object()) {
    for (const char* key : {"train_s", "sooner", "baseline"}) value.erase(key);
  }
  for (auto& part : value) {
    if (part.is_structured()) part = timeless(part);
  }
  return value;
}

/** Gone on with in parts, of which the last one compares. */
TEST(SweepCommand, KilledItContinuesToTheSameTable) {
  const TemporaryFolder folder;
  const auto whole =
      nlohmann::json::parse(said_by(folder, write_sweep(folder, "whole")));
  ASSERT_EQ(whole.at("settings").size(), 2u);
  for (const auto& setting : whole["settings"]) {
    EXPECT_EQ(setting.at("runs").size(), 2u);
    for (const auto& run : setting["runs"]) EXPECT_TRUE(run.at("finished"));
  }
  const std::string broken = write_sweep(folder, "broken");
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(127);
    execl(kProgram.c_str(), "rsm", "sweep", broken.c_str(), nullptr);
    _exit(127);
  }
  // Into the second run.
  int status = 0;
  while (!fs::exists(folder / "broken/strong-1/log.jsonl") &&
         waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  ASSERT_TRUE(fs::exists(folder / "broken/weak-1/final"));
  ASSERT_FALSE(fs::exists(folder / "broken/weak-2"));
  EXPECT_EQ(said_by(folder, broken, "1/2"), "");
  EXPECT_TRUE(fs::exists(folder / "broken/weak-2/final"));
  EXPECT_FALSE(fs::exists(folder / "broken/strong-2"));
  const auto continued = nlohmann::json::parse(said_by(folder, broken, "2/2"));
  EXPECT_EQ(timeless(whole).dump(2), timeless(continued).dump(2));
  EXPECT_TRUE(fs::exists(folder / "broken/compare.html"));
  EXPECT_TRUE(fs::exists(folder / "broken/compare.csv"));
}

}  // namespace
}  // namespace rsm
