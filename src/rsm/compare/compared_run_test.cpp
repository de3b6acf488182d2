#include "rsm/compare/compared_run.h"

#include <gtest/gtest.h>

#include "rsm/compare/comparison_testing.h"
#include "rsm/io/testing.h"

namespace rsm::report {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

std::string refusal(const std::string& folder) {
  return error_of([&] { read_compared_run(folder, "x"); });
}

TEST(ComparedRun, HasTheFoldersNumbers) {
  const TemporaryFolder folder;
  write_run(folder.path(), {.seed = 7, .label = "ratio form"});
  const auto run = read_compared_run(folder.path(), "short/name");
  EXPECT_EQ(run.folder, "short/name");
  EXPECT_EQ(run.label, "ratio form");
  EXPECT_EQ(run.method, "some_method");
  EXPECT_EQ(run.main_metric, "strict");
  EXPECT_EQ(run.machine, "two cores");
  EXPECT_EQ(run.seed, 7u);
  EXPECT_TRUE(run.finished);
  ASSERT_EQ(run.points.size(), 4u);
  EXPECT_EQ(run.points[2].epoch, 2);
  EXPECT_EQ(run.points[2].cost.seconds, 20);
  EXPECT_EQ(run.points[2].cost.images, 200);
  EXPECT_EQ(run.points[2].cost.evaluations, 1000);
  EXPECT_EQ(run.points[2].kl, 0.002);
  EXPECT_EQ(run.points[2].scores.metric("strict"), 0.6);
}

TEST(ComparedRun, ConfigSaysWhatARunDoesAndNotWhichItIs) {
  const TemporaryFolder folder;
  write_run(folder.path(), {});
  const auto run = read_compared_run(folder.path(), "x");
  EXPECT_EQ(run.value("train.lr"), "0.001");
  EXPECT_EQ(run.value("method.estimator.branches"), "[4, 2, 0]");
  for (const char* key : {"name", "seed", "folder", "label"}) {
    EXPECT_EQ(run.config.count(key), 0u) << key;
  }
}

TEST(ComparedRun, LinesWithoutEvaluationAreNoPoints) {
  const TemporaryFolder folder;
  write_run(folder.path(), {});
  auto log = log_of({});
  log[1].erase("eval");
  log[1].erase("eval_reward");
  write_log(folder.path(), log);
  EXPECT_EQ(read_compared_run(folder.path(), "x").points.size(), 3u);
}

TEST(ComparedRun, MissingFilesAreRefused) {
  for (const char* file : {"run.json", "config.yaml", "log.jsonl"}) {
    const TemporaryFolder folder;
    write_run(folder.path(), {});
    fs::remove(folder / file);
    expect_parts(refusal(folder.path()), {folder.path(), file});
  }
}

TEST(ComparedRun, LogsWithMissingOrRepeatedEpochsAreRefused) {
  const TemporaryFolder folder;
  write_run(folder.path(), {});
  auto log = log_of({});
  log.erase(log.begin() + 1);
  write_log(folder.path(), log);
  expect_parts(refusal(folder.path()),
               {"[compare]", "log.jsonl:2", "epoch 2", "epoch 1 is due"});
  log = log_of({});
  log.insert(log.begin() + 2, log[1]);
  write_log(folder.path(), log);
  expect_parts(refusal(folder.path()), {"log.jsonl:3", "epoch 1", "epoch 2"});
  log = log_of({});
  log.erase(log.begin());
  write_log(folder.path(), log);
  expect_parts(refusal(folder.path()), {"log.jsonl:1", "epoch 0 is due"});
}

TEST(ComparedRun, TotalsThatShrinkAreRefused) {
  for (const char* total : {"train_s", "images", "evals"}) {
    const TemporaryFolder folder;
    write_run(folder.path(), {});
    auto log = log_of({});
    log[3][total] = 1;
    write_log(folder.path(), log);
    expect_parts(refusal(folder.path()), {"log.jsonl:4", "epoch 3", total});
    log = log_of({});
    log[0][total] = -1;
    write_log(folder.path(), log);
    expect_parts(refusal(folder.path()), {"log.jsonl:1", total, "-1"});
  }
}

TEST(ComparedRun, FilesThatContradictEachOtherAreRefused) {
  const std::vector<std::pair<std::string, nlohmann::json>> changes = {
      {"/name", "other"},        {"/seed", 2},
      {"/model", "other"},       {"/method/name", "other"},
      {"/guidance_scale", 1.25}, {"/steps", 4}};
  for (const auto& [place, value] : changes) {
    const TemporaryFolder folder;
    write_run(folder.path(), {});
    auto run = run_json_of({});
    run[nlohmann::json::json_pointer(place)] = value;
    write_text(folder / "run.json", run.dump());
    expect_parts(refusal(folder.path()),
                 {"[compare]", "run.json", place, "config.yaml"});
  }
}

TEST(ComparedRun, OddValuesAreRefusedOrPassedOver) {
  const TemporaryFolder folder;
  write_run(folder.path(), {});
  const std::vector<nlohmann::json> values = {
      nullptr, "text", -1, 1e300, {1, "a", nullptr}, {{"a", {}}}};
  int64_t refused = 0, read = 0;
  const auto try_files = [&](const nlohmann::json& run,
                             const std::vector<nlohmann::json>& log) {
    write_text(folder / "run.json", run.dump());
    write_log(folder.path(), log);
    try {
      read_compared_run(folder.path(), "x");
      ++read;
    } catch (const Error& error) {
      expect_parts(error.what(), {folder.path()});
      ++refused;
    }
  };
  for (const auto& value : values) {
    const auto run = run_json_of({});
    for (const auto& item : run.items()) {
      auto odd = run;
      odd[item.key()] = value;
      try_files(odd, log_of({}));
    }
    const auto log = log_of({});
    for (const auto& item : log[1].items()) {
      auto odd = log;
      odd[1][item.key()] = value;
      try_files(run, odd);
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_GT(read, 20);
}

TEST(ComparedRun, OneNumberMayBeWrittenInTwoWays) {
  const TemporaryFolder folder;
  write_run(folder.path(), {.guidance = "15e-1"});
  EXPECT_EQ(read_compared_run(folder.path(), "x").seed, 1u);
}

TEST(FindRuns, LooksBelowFoldersButNotBelowRuns) {
  const TemporaryFolder folder;
  for (const char* name : {"b", "a", "deep/er/c", "a/checkpoints/inner"}) {
    write_run(folder / name, {});
  }
  const auto root = fs::canonical(folder.path()).string();
  const Paths all = {root + "/a", root + "/b", root + "/deep/er/c"};
  EXPECT_EQ(find_runs({folder.path()}), all);
  EXPECT_EQ(find_runs({folder / "deep", folder / "b", folder / "a"}), all);
  const auto runs = read_compared_runs({folder.path()});
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[2].folder, "deep/er/c");
  EXPECT_EQ(read_compared_runs({folder / "deep"})[0].folder, "c");
}

TEST(FindRuns, RefusesPathsWithoutRunsAndRunsGivenTwice) {
  const TemporaryFolder folder;
  write_run(folder / "a", {});
  fs::create_directories(folder / "empty");
  const auto said = [&](const Paths& paths) {
    return error_of([&] { find_runs(paths); });
  };
  expect_parts(said({folder / "empty"}), {"[compare]", "empty", "log.jsonl"});
  expect_parts(said({folder / "missing"}), {"missing"});
  expect_parts(said({folder / "a", folder.path()}), {"/a", "given twice"});
  EXPECT_THROW(find_runs({folder / "a", folder / "a"}), UsageError);
}

}  // namespace
}  // namespace rsm::report
