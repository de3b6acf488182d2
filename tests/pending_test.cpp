// Runs whose reward fails: the pictures wait, and the run goes on from them.

#include <gtest/gtest.h>

#include <filesystem>

#include "red_judge.h"
#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/run_log.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

class PendingOn : public OnDevice {
 protected:
  RunOptions options_of(const TemporaryFolder& folder,
                        const std::string& name) const {
    return judged_run(folder, name,
                      on_device({"method={name: tempflow-grpo, estimator: "
                                 "{branches: [3, 2, 0, 0]}}",
                                 "prompts.per_epoch=5", "train.epochs=2",
                                 "train.dead_epochs=0", "evaluation.every=10",
                                 "checkpoint.every=1"}));
  }
};
RSM_ON_EVERY_DEVICE(PendingOn);

TEST_P(PendingOn, PicturesOfAFailedRewardAreJudgedAgainAndNothingIsLost) {
  const TemporaryFolder folder;
  const RedJudge judge(folder);
  run_to_end(options_of(folder, "whole"));
  const auto options = options_of(folder, "mended");
  const std::string waiting = options.folder + "/pending-rollout.safetensors";
  {
    NoProgress silent;
    Finetune(options, silent).run_epoch();
  }
  for (const auto& [mood, word] :
       std::vector<std::pair<std::string, std::string>>{
           {"dies", "3"},
           {"NaN", "image"},
           {"few", "scores"},
           {"hangs", "red.py] did not answer within timeout_seconds = 0.5"},
           {"same", "spread"}}) {
    judge.set_mood(mood);
    auto asked = options;
    if (mood == "hangs") asked.rewards.front().timeout_seconds = 0.5;
    expect_parts(error_of([&] { run_to_end(asked); }), {word});
    EXPECT_TRUE(fs::exists(waiting)) << mood;
  }
  judge.set_mood("");
  run_to_end(options);
  EXPECT_FALSE(fs::exists(waiting));
  expect_same_weights(folder / "whole", folder / "mended", repeats_its_bits());
  const auto log = read_log(options.folder + "/log.jsonl");
  EXPECT_EQ(log.back().at("images"), 2 * 5 * 5);
}

TEST_P(PendingOn, EpochsWithoutRewardSpreadArePassedOverAsOftenAsAskedFor) {
  const TemporaryFolder folder;
  const RedJudge judge(folder);
  auto options = options_of(folder, "flat");
  options.epochs = 4;
  options.dead_epochs = 2;
  NoProgress silent;
  { Finetune(options, silent).run_epoch(); }
  judge.set_mood("same");
  for (int64_t in_a_row = 1; in_a_row <= 2; ++in_a_row) {
    const auto line = Finetune(options, silent).run_epoch();  // resumes
    EXPECT_EQ(line.at("dead_epochs"), in_a_row);
    expect_parts(line.at("warnings").dump(),
                 {"all 10 groups", cat(in_a_row, " in a row of the 2")});
  }
  expect_parts(error_of([&] { run_to_end(options); }),
               {"without spread", "train.dead_epochs"});
  judge.set_mood("");
  run_to_end(options);
  const auto log = read_log(options.folder + "/log.jsonl");
  EXPECT_EQ(log.back().at("images"), 4 * 5 * 5);
  EXPECT_FALSE(log.back().contains("dead_epochs"));
}

TEST_P(PendingOn, WhatARewardMendsByItselfIsAWarningWithItsCount) {
  const TemporaryFolder folder;
  const RedJudge judge(folder);
  auto options = options_of(folder, "faint");
  options.rewards.front().retries = 1;
  NoProgress silent;
  judge.set_mood("faints");  // in the first evaluation
  Finetune run(options, silent);
  judge.set_mood("faints");
  const auto line = run.run_epoch();
  EXPECT_FALSE(judge.has_mood());
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
