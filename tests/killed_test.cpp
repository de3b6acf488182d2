// Runs in a process of their own that is killed, or asked to stop.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "finetune_testing.h"
#include "program.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

class KilledOn : public FinetuneOn {
 protected:
  /** Lets a run be ended by a signal once its log has two lines: the evaluation
   * before training and epoch 1, so that epoch 2 is under way. */
  int end_by(int signal, const std::string& config,
             std::chrono::milliseconds later = {}) const {
    write_file_atomic(folder_ / "broken.yaml", config);
    const Program program(folder_ / "broken.yaml", folder_ / "said.txt");
    program.wait_for_lines(broken_, 2);
    std::this_thread::sleep_for(later);
    return program.ends_by(signal);
  }

  /** The same command again ends where a run that nothing happened to does. */
  void expect_same_end() const {
    EXPECT_EQ(Program(folder_ / "broken.yaml").ends_by(), 0);
    write_file_atomic(folder_ / "whole.yaml", config_of(whole_));
    EXPECT_EQ(Program(folder_ / "whole.yaml").ends_by(), 0);
    expect_same_weights(whole_, broken_);
    const auto a = read_log(whole_ + "/log.jsonl");
    const auto b = read_log(broken_ + "/log.jsonl");
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      if (repeats_its_bits()) {
        EXPECT_EQ(a[i].value("reward", 0.0), b[i].value("reward", 0.0));
      }
      EXPECT_EQ(a[i].at("images"), b[i].at("images"));
    }
  }

  TemporaryFolder folder_;
  const std::string whole_ = folder_ / "whole", broken_ = folder_ / "broken";
};
RSM_ON_EVERY_DEVICE(KilledOn);

TEST_P(KilledOn, InTheMiddleOfAnEpochItEndsInTheSameBytes) {
  end_by(SIGKILL, config_of(broken_), std::chrono::milliseconds(150));
  ASSERT_FALSE(fs::exists(broken_ + "/final"));
  expect_same_end();
}

TEST_P(KilledOn, InterruptedItSavesSaysHowToGoOnAndEndsInTheSameBytes) {
  // Checkpoints would come too late: the interrupt itself must save.
  auto config = config_of(broken_);
  const std::string key = "checkpoint:\n  every: ";
  config.replace(config.find(key + "1"), key.size() + 1, key + "1000");
  const int status = end_by(SIGINT, config);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  expect_parts(read_file(folder_ / "said.txt"),
               {"stopped and saved", "same command"});
  // Whole epochs: the one under way was finished, or forgotten.
  const auto stopped = read_log(broken_ + "/log.jsonl");
  EXPECT_LT(stopped.size(), 4u);
  EXPECT_TRUE(fs::exists(
      cat(broken_, "/checkpoints/epoch-00000", stopped.size() - 1, ".json")));
  expect_same_end();
}

TEST(Killed, InAnEvaluationItHasSavedBeforeAndEvaluatesNext) {
  const TemporaryFolder folder;
  for (const auto& [name, signal] :
       {std::pair("term", SIGTERM), std::pair("usr1", SIGUSR1)}) {
    const std::string run = folder / name;
    // An evaluation of minutes.
    auto config = config_text(run);
    config.replace(config.find("images: 12"), 10, "images: 6000");
    write_file_atomic(folder / "run.yaml", config);
    const Program program(folder / "run.yaml", folder / "said.txt");
    program.wait_for_lines(run, 1);
    const int status = program.ends_by(signal);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 75);
    expect_parts(read_file(folder / "said.txt"), {"stopped", "same command"});
    EXPECT_TRUE(fs::exists(run + "/checkpoints/epoch-000000.json"));
    const auto log = read_log(run + "/log.jsonl");
    ASSERT_EQ(log.size(), 1u);
    EXPECT_FALSE(log[0].contains("eval"));
  }
}

}  // namespace
}  // namespace rsm
