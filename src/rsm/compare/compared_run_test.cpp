#include "rsm/compare/compared_run.h"

#include <gtest/gtest.h>

#include "rsm/compare/comparison_testing.h"

namespace rsm::report {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

TEST(ComparedRun, ConfigSaysWhatARunDoesAndNotWhichItIs) {
  const auto run = read_example({.seed = 3, .label = "ratio form"});
  EXPECT_EQ(run.folder, "lr0.001-3");
  EXPECT_EQ(run.label, "ratio form");
  EXPECT_EQ(run.value("train.lr"), "0.001");
  EXPECT_EQ(run.value("method.estimator.branches"), "[4, 2, 0]");
  EXPECT_EQ(run.evaluated().size(), 4u);
  for (const char* key : {"name", "seed", "folder", "label"}) {
    EXPECT_EQ(run.config.count(key), 0u) << key;
  }
}

TEST(ComparedRun, LogsThatLackAnEpochAreRefused) {
  const TemporaryFolder folder;
  write_run(folder.path(), ExampleRun());
  for (const int64_t missing : {0, 1}) {
    auto log = log_of({});
    log.erase(log.begin() + missing);
    write_plain(folder / "log.jsonl", log_text(log));
    expect_parts(error_of([&] { read_compared_run(folder.path(), "x"); }),
                 {"[compare]", "log.jsonl", cat("epochs ", missing, ";"),
                  "leave the folder out"});
  }
}

TEST(FindRuns, LooksBelowFoldersButNotBelowRuns) {
  const TemporaryFolder folder;
  for (const char* name : {"b", "a", "deep/er/c", "a/checkpoints/inner"}) {
    write_run(folder / name, ExampleRun());
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
  write_run(folder / "a", ExampleRun());
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
