// Runs that are stopped, or whose evaluation fails, lose nothing.

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>

#include "red_judge.h"
#include "rsm/base/error.h"
#include "rsm/io/run_log.h"
#include "rsm/rewards/testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/run_origin.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A log without its times and what depends on the process. */
std::vector<nlohmann::json> timeless(const std::string& run) {
  auto log = read_log(run + "/log.jsonl");
  for (auto& line : log) {
    for (const char* key : {"wall_s", "train_s", "seconds", "peak_memory_mb"}) {
      line.erase(key);
    }
  }
  return log;
}

void expect_same_runs(const std::string& a, const std::string& b) {
  EXPECT_EQ(timeless(a), timeless(b));
  expect_same_weights(a, b);
}

TEST(Stopped, AnEvaluationThatFailsCostsNoEpochAndComesFirstNextTime) {
  const TemporaryFolder folder;
  const RedJudge judge(folder);
  const auto whole = judged_run(folder, "whole");
  run_to_end(whole);
  const auto options = judged_run(folder, "mended");
  NoProgress silent;
  for (const int64_t epoch : {0, 2, 3}) {
    judge.set_mood("dies 6");
    expect_parts(error_of([&] { run_to_end(options); }), {"3"});
    const auto log = read_log(options.folder + "/log.jsonl");
    EXPECT_EQ(log.back().at("epoch"), epoch);
    EXPECT_FALSE(log.back().contains("eval"));
    EXPECT_EQ(latest_checkpoint(options.folder)->epoch, epoch);
    // It comes first: before the next epoch's pictures are drawn.
    expect_parts(error_of([&] { Finetune(options, silent); }), {"3"});
    judge.set_mood("");
    EXPECT_EQ(Finetune(options, silent).epoch(), epoch);
    EXPECT_TRUE(
        read_log(options.folder + "/log.jsonl").back().contains("eval"));
  }
  run_to_end(options);
  expect_same_runs(whole.folder, options.folder);
}

TEST(Stopped, ALineThatDidNotReachTheLogIsInTheCheckpoint) {
  const TemporaryFolder folder;
  const auto whole = judged_run(folder, "whole");
  run_to_end(whole);
  const auto options = judged_run(folder, "killed");
  {
    NoProgress silent;
    Finetune run(options, silent);
    run.run_epoch();
    run.run_epoch();
  }
  // As if killed between the checkpoint of epoch 2 and its line.
  const std::string log = options.folder + "/log.jsonl";
  const auto text = read_file(log);
  write_file_atomic(log, text.substr(0, text.rfind('\n', text.size() - 2) + 1));
  run_to_end(options);
  expect_same_runs(whole.folder, options.folder);
}

TEST(Stopped, WhereverItIsAskedToTheRunGoesOnToTheSameEnd) {
  const TemporaryFolder folder;
  const std::vector<std::string> setting = {
      "rewards=[{name: jpeg-compressibility}]", "method.name=flow-grpo",
      "method.estimator.branches=[]", "prompts.samples_per_prompt=3"};
  const auto options_for = [&](const std::string& name) {
    return judged_run(folder, name, setting);
  };
  const auto whole = options_for("whole");
  run_to_end(whole);
  StopsAt counter(1 << 30);
  {
    const auto counted = options_for("counted");
    Finetune run(counted, counter);
    while (!run.finished()) run.run_epoch();
  }
  ASSERT_GT(counter.looks(), 50);
  // Over and over, each time a little later than it came the last time.
  const auto options = options_for("stopped");
  int64_t stops = 0;
  for (bool done = false; !done; ++stops) {
    ASSERT_LT(stops, 100);
    StopsAt progress(2 + 5 * stops);
    std::unique_ptr<Finetune> run;
    try {
      run = std::make_unique<Finetune>(options, progress);
      while (!run->finished()) run->run_epoch();
      done = true;
    } catch (const Interrupted&) {
      if (run) run->save();
    }
  }
  EXPECT_GT(stops, 5);
  expect_same_runs(whole.folder, options.folder);
}

/** Asks to stop once `on`. */
class Switch : public NoProgress {
 public:
  bool stopping() const override { return on; }
  std::atomic<bool> on = false;
};

TEST(Stopped, AnEpochBeforeItsFirstUpdateWasNeverThere) {
  const TemporaryFolder folder;
  const auto options = judged_run(folder, "run", {"rewards=[{name: shapes}]"});
  Switch progress;
  Finetune run(options, progress);
  run.run_epoch();
  const auto spent = run.spent();
  progress.on = true;
  EXPECT_THROW(run.run_epoch(), Interrupted);
  EXPECT_EQ(run.epoch(), 1);
  EXPECT_EQ(run.spent().images, spent.images);
  EXPECT_EQ(run.spent().evaluations, spent.evaluations);
  EXPECT_EQ(run.spent().updates, spent.updates);
  run.save();
  EXPECT_EQ(latest_checkpoint(options.folder)->epoch, 1);
}

/** Asks to stop where a task ends: the second is an epoch's drawing. */
class StopsOnceDrawn : public Switch {
 public:
  void end() override { on = ++ended_ >= 2; }

 private:
  int ended_ = 0;
};

TEST(Stopped, AJudgeThatHangsIsNotWaitedForAndItsPicturesAreKept) {
  const TemporaryFolder folder;
  const RedJudge judge(folder);
  const auto whole = judged_run(folder, "whole");
  run_to_end(whole);
  auto options = judged_run(folder, "stopped");
  options.rewards.front().timeout_seconds = 1000;
  {
    StopsOnceDrawn progress;
    Finetune run(options, progress);
    judge.set_mood("hangs");
    EXPECT_THROW(run.run_epoch(), Interrupted);
    run.save();
  }
  EXPECT_TRUE(fs::exists(options.folder + "/pending-rollout.safetensors"));
  judge.set_mood("");
  run_to_end(options);
  expect_same_runs(whole.folder, options.folder);
}

/** Keeps which tasks began. */
class Tasks : public NoProgress {
 public:
  void begin(const std::string& what, int64_t /*total*/) override {
    began += what + "\n";
  }
  std::string began;
};

TEST(Stopped, InItsFirstUpdateAnEpochKeepsWhatItDrew) {
  const TemporaryFolder folder;
  const auto options_for = [&](const std::string& name) {
    return judged_run(folder, name, {"rewards=[{name: jpeg-compressibility}]"});
  };
  const auto whole = options_for("whole"), options = options_for("stopped");
  StopsAt counter(1 << 30);
  {
    Finetune run(whole, counter);
    run.run_epoch();
  }
  run_to_end(whole);
  {
    // From the first update on nobody looks: this is its last call.
    StopsAt progress(counter.looks() - 1);
    Finetune run(options, progress);
    EXPECT_THROW(run.run_epoch(), Interrupted);
    EXPECT_EQ(run.spent().updates, 0);
    run.save();
  }
  const auto waiting = options.folder + "/pending-rollout.safetensors";
  EXPECT_TRUE(fs::exists(waiting));
  Tasks tasks;
  {
    Finetune run(options, tasks);
    run.run_epoch();
    EXPECT_FALSE(fs::exists(waiting));
    EXPECT_EQ(tasks.began.find("rollout"), std::string::npos) << tasks.began;
    run.run_epoch();
    EXPECT_NE(tasks.began.find("epoch 2 rollout"), std::string::npos);
  }
  run_to_end(options);
  expect_same_runs(whole.folder, options.folder);
}

/** A run whose weights explode in its second epoch. */
RunOptions wild(const TemporaryFolder& folder, const std::string& name,
                const std::string& lr) {
  return judged_run(folder, name,
                    {"rewards=[{name: jpeg-compressibility}]", "train.lr=" + lr,
                     "checkpoint.every=1"});
}

TEST(Stopped, ExplodedWeightsAreNamedAndALowerRateGoesOnFromBefore) {
  const TemporaryFolder folder;
  const auto options = wild(folder, "wild", "0.05");
  const auto log = run_to_end(options);
  bool warned = false;
  for (const auto& line : log) {
    for (const auto& text : line.value("warnings", nlohmann::json::array())) {
      const std::string warning = text;
      if (warning.find("far from where it began") == std::string::npos) {
        continue;
      }
      warned = true;
      expect_parts(warning, {"KL", "--from " + options.folder, "train.lr"});
    }
  }
  EXPECT_TRUE(warned);
  const auto calm = wild(folder, "calm", "0.0001");
  begin_from(calm, options.folder, std::nullopt);
  const auto calmed = run_to_end(calm);
  // The checkpoint before the first update is the only whole one.
  EXPECT_EQ(calmed[0], log[0]);
  EXPECT_LT(calmed.back().at("kl").get<double>(), 0.1);
  begin_from(calm, options.folder, std::nullopt);  // once begun, it is begun
  EXPECT_EQ(run_to_end(calm), calmed);
  const auto about = read_json(calm.folder + "/run.json").at("warnings").dump();
  expect_parts(about, {options.folder, "train.lr: 0.05 -> 1e-04"});
}

TEST(Stopped, ARunGoesOnFromAnothersCheckpointBitForBit) {
  const TemporaryFolder folder;
  const auto options = wild(folder, "a", "0.0001");
  run_to_end(options);
  const auto same = wild(folder, "b", "0.0001");
  begin_from(same, options.folder, 2);
  run_to_end(same);
  expect_same_runs(options.folder, same.folder);
}

TEST(Stopped, OnlyTrainingSettingsMayDifferFromTheRunItBeginsFrom) {
  const TemporaryFolder folder;
  const auto options = wild(folder, "a", "0.0001");
  run_to_end(options);
  const auto refusal = [&](const RunOptions& other, const std::string& run,
                           std::optional<int64_t> epoch) {
    return error_of([&] { begin_from(other, run, epoch); });
  };
  const auto other = judged_run(folder, "b", {"sampling.steps=5"});
  expect_parts(refusal(other, options.folder, {}),
               {"--from", "sampling.steps: 4 -> 5", "train"});
  expect_parts(refusal(wild(folder, "b", "1"), options.folder, 7),
               {"--from-epoch 7", "3, 2"});
  expect_parts(refusal(wild(folder, "b", "1"), folder / "none", {}),
               {"--from", "no checkpoint"});
  expect_parts(refusal(options, options.folder, {}), {"another `name`"});
}

}  // namespace
}  // namespace rsm
