#include "rsm/io/run_log.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/full_disk_testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

std::vector<int64_t> epochs_in(const std::string& path) {
  std::vector<int64_t> epochs;
  for (const auto& line : read_log(path)) epochs.push_back(line["epoch"]);
  return epochs;
}

using Epochs = std::vector<int64_t>;

TEST(RunLog, ReadingGivesWhatWasAppended) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  RunLog log(path, "");
  EXPECT_TRUE(read_log(path).empty());
  const nlohmann::json first = {{"epoch", 0}, {"text", "two\nlines"}};
  log.append(first);
  log.append({{"epoch", 1},
              {"loss", std::numeric_limits<double>::quiet_NaN()},
              {"text", "\xff"}});
  const auto lines = read_log(path);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], first);
  EXPECT_TRUE(lines[1]["loss"].is_null());
  EXPECT_EQ(lines[1]["text"], "\xef\xbf\xbd");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(RunLog, ContinuingKeepsWhatIsThere) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  RunLog(path, "").append({{"epoch", 0}});
  RunLog again(path, read_file(path));
  again.append({{"epoch", 1}});
  EXPECT_EQ(read_file(path), join(again.lines(), "\n") + "\n");
  EXPECT_EQ(epochs_in(path), (Epochs{0, 1}));
}

TEST(RunLog, HalfWrittenLastLineIsLeftOutAndOneThatLacksItsEndCounts) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  write_file_atomic(path, "{\"epoch\":0}\n{\"epoch\":1,\"lo");
  EXPECT_EQ(epochs_in(path), Epochs{0});
  write_file_atomic(path, "{\"epoch\":0}");
  EXPECT_EQ(epochs_in(path), Epochs{0});
}

TEST(RunLog, AmendingReplacesTheLastLineAndNoOther) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  RunLog log(path, "");
  expect_parts(error_of([&] { log.amend({{"epoch", 0}}); }), {path, "null"});
  log.append({{"epoch", 0}});
  log.append({{"epoch", 1}});
  log.amend({{"epoch", 1}, {"eval", 2}});
  const std::string amended = "{\"epoch\":0}\n{\"epoch\":1,\"eval\":2}\n";
  EXPECT_EQ(read_file(path), amended);
  EXPECT_EQ(log.lines(), (std::vector<std::string>{
                             "{\"epoch\":0}", "{\"epoch\":1,\"eval\":2}"}));
  expect_parts(error_of([&] {
                 log.amend({{"epoch", 0}});
               }),
               {path, "epoch 0", "epoch 1"});
  EXPECT_EQ(read_file(path), amended);
  RunLog(path, amended).amend({{"epoch", 1}, {"eval", 3}});
  EXPECT_EQ(read_log(path)[1].at("eval"), 3);
  EXPECT_EQ(folder.entries(), 1);
}

TEST(RunLog, EpochThatComesAgainReplacesTheOldOnes) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  write_file_atomic(path,
                    "{\"epoch\":0}\n{\"epoch\":1}\n{\"epoch\":2}\n"
                    "{\"epoch\":1,\"new\":true}\n");
  const auto lines = read_log(path);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1].value("new", false), true);
}

TEST(RunLog, MalformedLinesAreNamed) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  for (const std::string bad :
       {"{\"epoch\":1,", "[1]", "{\"loss\":1}", "{\"epoch\":1.5}"}) {
    write_file_atomic(path, "{\"epoch\":0}\n" + bad + "\n{\"epoch\":2}\n");
    expect_parts(error_of([&] { read_log(path); }), {path + ":2: "});
  }
}

TEST(RunLog, FailedAppendLeavesNoPartOfALine) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  RunLog log(path, "");
  log.append({{"epoch", 0}});
  const auto before = read_file(path);
  {
    const FullDisk disk(before.size() + 10);  // amid the next line
    expect_parts(error_of([&] {
                   log.append({{"epoch", 1}, {"text", std::string(100, 'x')}});
                 }),
                 {path});
  }
  EXPECT_EQ(read_file(path), before);
}

TEST(RunLog, FoldersThatAreMissingAreNamed) {
  const TemporaryFolder folder;
  const auto path = folder / "missing/log.jsonl";
  expect_parts(error_of([&] { RunLog(path, ""); }), {path});
}

}  // namespace
}  // namespace rsm
