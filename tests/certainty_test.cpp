// What whole runs say of their gains, and on what.

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/data/picture_scores.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

RunOptions brief_options(const std::string& folder,
                         const std::vector<std::string>& overrides = {}) {
  const std::string text = "name: test\nfolder: " + folder + R"(
model: models/shapes-flow
reward: jpeg-compressibility
method: {name: flow-grpo}
prompts: {per_epoch: 2, samples_per_prompt: 4}
sampling: {steps: 4, guidance_scale: 1, size: 16}
train: {weights: lora, lora: {rank: 4, alpha: 8}, epochs: 2}
evaluation: {images: 24, every: 1, steps: 3}
checkpoint: {every: 1}
)";
  return read_run_options(Config::parse(text, "test.yaml", overrides));
}

TEST(Certainty, EveryMetricOfEveryRewardHasThePairedErrorOfItsChange) {
  const TemporaryFolder folder;
  const auto log = run_to_end(brief_options(folder / "run"));
  EXPECT_FALSE(log[0]["eval"].contains("change_errors"));
  for (const auto& line : log) {
    for (const auto* metric : {"reward", "kilobytes", "diversity"}) {
      EXPECT_GT(line["eval"]["errors"][metric], 0) << metric;
    }
  }
  const auto& eval = log[2]["eval"];
  const auto scores = [&](const char* name) {
    return read_picture_scores(folder / "run/samples/scores-" + name + ".json");
  };
  const auto before = scores("before"), after = scores("after");
  EXPECT_EQ(before.epoch, 0);
  EXPECT_EQ(after.epoch, 2);
  EXPECT_EQ(means_of(after).at("reward"), eval["reward"]);
  const auto expected = errors_of(difference(before, after));
  ASSERT_EQ(expected.size(), 3u);
  for (const auto& [metric, error] : expected) {
    EXPECT_EQ(eval["change_errors"][metric], error.standard) << metric;
    EXPECT_EQ(eval["change_freedom"][metric], error.freedom) << metric;
  }
  EXPECT_EQ(log[2].dump().find("claimed"), std::string::npos);
  const auto run = read_json(folder / "run/run.json");
  EXPECT_FALSE(run["reward"].contains("trained"));
  EXPECT_EQ(run["reward"]["watched"], nlohmann::json::array());
}

TEST(Certainty, FirstScoresThatAreLostAreDrawnAgain) {
  const TemporaryFolder folder;
  const auto undisturbed = run_to_end(brief_options(folder / "whole"));
  run_to_end(brief_options(folder / "run", {"train.epochs=1"}));
  fs::remove(folder / "run/samples/scores-before.json");
  write_file_atomic(folder / "run/samples/prompts.json", "{\"prompts\":");
  const auto log = run_to_end(brief_options(folder / "run"));
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[2]["eval"], undisturbed[2]["eval"]);
  for (const std::string name : {"scores-before.json", "prompts.json"}) {
    EXPECT_EQ(read_file(folder / "run/samples/" + name),
              read_file(folder / "whole/samples/" + name));
  }
}

}  // namespace
}  // namespace rsm
