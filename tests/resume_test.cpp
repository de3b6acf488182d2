// Runs that go on after something happened to their folder or to what they rest
// on.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/compare/compared_run.h"
#include "rsm/io/files.h"
#include "rsm/io/run_log.h"
#include "rsm/io/testing.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A run of two epochs is made once; tests go on with copies of it. */
class Resume : public testing::Test {
 protected:
  static void TearDownTestSuite() { made_.reset(); }

  void SetUp() override {
    if (made_ == nullptr) make();
    fs::copy(
        made_->path(), folder_.path(),
        fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }

  static void make() {
    auto made = std::make_unique<TemporaryFolder>();
    fs::copy("models/shapes-flow", *made / "model",
             fs::copy_options::recursive);
    write_file_atomic(*made / "prompts.txt", "a red circle\ntwo crosses\n");
    run_to_end(options_in(*made, 2));
    made_ = std::move(made);
  }

  static RunOptions options_in(const TemporaryFolder& folder, int64_t epochs) {
    return quick_run(
        folder / "run",
        {"model=" + (folder / "model"),
         "prompts.train=" + (folder / "prompts.txt"),
         cat("train.epochs=", epochs), "train.lora.rank=2", "train.lr=3e-4"});
  }

  /** Goes on where the run is; what it said. */
  std::string go_on(int64_t epochs = 2) {
    Notes notes;
    Finetune run(options_in(folder_, epochs), notes);
    while (!run.finished()) run.run_epoch();
    run.finish();
    return notes.all();
  }

  /** Bytes of a file of the run; as the first run left it. */
  std::string now(const std::string& name) const {
    return read_file(folder_ / ("run/" + name));
  }
  static std::string before(const std::string& name) {
    return read_file(*made_ / ("run/" + name));
  }

  /** The log but for the clock: an evaluation that is not in a checkpoint's
   * log is made again. */
  static std::vector<nlohmann::json> lines_of(const TemporaryFolder& folder) {
    auto lines = read_log(folder / "run/log.jsonl");
    for (auto& line : lines) line.erase("wall_s");
    return lines;
  }

  static std::unique_ptr<TemporaryFolder> made_;
  TemporaryFolder folder_;
};

std::unique_ptr<TemporaryFolder> Resume::made_;

TEST_F(Resume, AFinishedRunStaysAsItIs) {
  EXPECT_EQ(go_on().find("warning"), std::string::npos);
  for (const char* name :
       {"log.jsonl", "samples/before.png", "samples/after.png",
        "samples/prompts.json", "final/adapter_model.safetensors"}) {
    EXPECT_EQ(now(name), before(name)) << name;
  }
  EXPECT_FALSE(fs::exists(folder_ / "run/lock"));
}

TEST_F(Resume, ALostLogComesBackAndCanBeCompared) {
  for (const int damage : {0, 1, 2}) {
    const std::string log = folder_ / "run/log.jsonl";
    if (damage == 0) fs::remove(log);
    if (damage == 1) write_file_atomic(log, "");
    if (damage == 2) {
      const auto text = before("log.jsonl");
      write_file_atomic(log, text.substr(text.find('\n') + 1));
    }
    expect_parts(go_on(), {"warning", "log.jsonl", "restored"});
    EXPECT_EQ(lines_of(folder_), lines_of(*made_)) << damage;
    EXPECT_EQ(
        report::read_compared_run(folder_ / "run", "run").evaluated().size(),
        2u);
  }
}

TEST_F(Resume, LostPicturesAreDrawnAgain) {
  fs::remove(folder_ / "run/samples/before.png");
  write_file_atomic(folder_ / "run/samples/after.png", "no picture");
  write_file_atomic(folder_ / "run/samples/prompts.json", "[null]");
  expect_parts(go_on(), {"warning", "before.png", "after.png", "again"});
  for (const char* name :
       {"samples/before.png", "samples/after.png", "samples/prompts.json",
        "final/adapter_model.safetensors"}) {
    EXPECT_EQ(now(name), before(name)) << name;
  }
}

TEST_F(Resume, ADamagedMarkFallsBackToTheSameBytes) {
  const std::string mark = folder_ / "run/checkpoints/epoch-000002.json";
  auto value = read_json(mark);
  value["epoch"] = 99;
  write_json_atomic(mark, value);
  write_file_atomic(folder_ / "run/x.tmp.1.2", "left behind");
  expect_parts(go_on(), {"damaged", "epoch-000002.json", "after epoch 1",
                         "1 temporary files"});
  EXPECT_EQ(now("final/adapter_model.safetensors"),
            before("final/adapter_model.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ / "run/x.tmp.1.2"));
}

TEST_F(Resume, WithoutCheckpointsNothingIsBegunAnew) {
  fs::remove_all(folder_ / "run/checkpoints");
  expect_parts(error_of([&] { go_on(); }),
               {folder_ / "run", "no whole checkpoint", "anew"});
  EXPECT_EQ(now("log.jsonl"), before("log.jsonl"));
  EXPECT_EQ(now("final/adapter_model.safetensors"),
            before("final/adapter_model.safetensors"));
}

TEST_F(Resume, ChangedInputsAreRefusedByName) {
  const std::string prompts = folder_ / "prompts.txt";
  write_file_atomic(prompts, "a red circle\nthree crosses\n");
  expect_parts(error_of([&] { go_on(3); }), {prompts, "prompts.train"});
  fs::copy_file(*made_ / "prompts.txt", prompts,
                fs::copy_options::overwrite_existing);
  const std::string schedule =
      folder_ / "model/scheduler/scheduler_config.json";
  write_file_atomic(schedule, read_file(schedule) + "\n");
  expect_parts(error_of([&] { go_on(3); }),
               {"scheduler/scheduler_config.json (changed)"});
  EXPECT_EQ(now("log.jsonl"), before("log.jsonl"));
}

TEST_F(Resume, TheSecondProcessIsRefused) {
  NoProgress silent;
  const Finetune first(options_in(folder_, 2), silent);
  expect_parts(error_of([&] { go_on(); }),
               {"[finetune]", folder_ / "run", "in use by process"});
}

/** K_i of an epoch. */
std::vector<double> branches_of(const nlohmann::json& line) {
  return line.at("by_step").at("branches").get<std::vector<double>>();
}

/** The log of a run that chooses its branches. */
std::vector<nlohmann::json> log_of_choices(const std::string& folder,
                                           int64_t epochs,
                                           std::vector<std::string> overrides) {
  for (const std::string same :
       {"method.estimator.branches=[3, 2, 0]", "sampling.steps=3",
        "train.updates_per_epoch=1", "evaluation.every=10",
        "train.lora.rank=2"}) {
    overrides.push_back(same);
  }
  overrides.push_back(cat("train.epochs=", epochs));
  return run_to_end(quick_run(folder, overrides));
}

TEST(ResumeBranches, ChosenOnesAreThoseOfARunThatNeverStopped) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, int64_t epochs) {
    return log_of_choices(
        folder / name, epochs,
        {"method.estimator.budget.every=2",
         "method.estimator.budget.least_worth=1", "prompts.per_epoch=1"});
  };
  const auto whole = run("whole", 3);
  run("stopped", 1);
  const auto on = run("stopped", 3);
  ASSERT_EQ(on.size(), 4U);
  for (size_t epoch = 1; epoch < 4; ++epoch) {
    const auto& line = whole[epoch];
    EXPECT_EQ(on[epoch].at("by_step"), line.at("by_step")) << epoch;
    EXPECT_EQ(on[epoch].at("images"), line.at("images")) << epoch;
    // Chosen before epochs 1 and 3, and kept between.
    EXPECT_EQ(line.at("by_step").contains("branch_odd"), epoch != 2) << epoch;
    // All for the best time.
    const auto branches = branches_of(line);
    EXPECT_EQ(std::count_if(branches.begin(), branches.end(),
                            [](double k) { return k > 0; }),
              1)
        << epoch;
  }
  EXPECT_EQ(branches_of(whole[1]), branches_of(whole[2]));
  expect_same_weights(folder / "whole", folder / "stopped");
}

TEST(ResumeBranches, ChosenStrengthsAreThoseOfARunThatNeverStopped) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, int64_t epochs) {
    return log_of_choices(
        folder / name, epochs,
        {"method.estimator.budget.every=10",
         "method.estimator.budget.least_worth=1e-6",
         "method.estimator.budget.strength=true", "prompts.per_epoch=2"});
  };
  const auto whole = run("whole", 2);
  run("stopped", 1);
  const auto on = run("stopped", 2);
  const auto weights = whole.at(2).at("by_step").at("weight");
  EXPECT_EQ(weights, whole.at(1).at("by_step").at("weight"));
  EXPECT_EQ(weights, on.at(2).at("by_step").at("weight"));
  // Both steps branch, and one of them is worth more.
  EXPECT_NE(weights.at(0), 1);
  EXPECT_NE(weights.at(1), 1);
  expect_same_weights(folder / "whole", folder / "stopped");
}

}  // namespace
}  // namespace rsm
