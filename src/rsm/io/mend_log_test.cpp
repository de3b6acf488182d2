#include "rsm/io/mend_log.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

const std::vector<std::string> kSaved = {
    R"({"epoch":0,"eval":{}})", R"({"epoch":1,"x":1})", R"({"epoch":2,"x":2})"};

std::string text_of(const std::vector<std::string>& lines) {
  return lines.empty() ? "" : join(lines, "\n") + "\n";
}

/** Mended up to epoch 2 from what the file holds. */
MendedLog mended(const std::string& file,
                 const std::vector<std::string>& saved) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "log.jsonl", file);
  return mend_log(folder / "log.jsonl", saved, 2);
}

TEST(MendLog, AWholeLogStaysAndNothingIsSaid) {
  const auto whole = mended(text_of(kSaved), kSaved);
  EXPECT_EQ(whole.text, text_of(kSaved));
  EXPECT_TRUE(whole.said.empty());
}

TEST(MendLog, WhateverLinesAreMissingOrDamagedComeFromTheCheckpoint) {
  for (int mask = 0; mask < 7; ++mask) {
    for (const std::string instead :
         {"", "{\"epoch\":1,", "[]", "\xff{", "{\"epoch\":-1}",
          "{\"epoch\":\"1\"}", "{\"epoch\":1e300}"}) {
      auto lines = kSaved;
      for (int i = 0; i < 3; ++i) {
        if ((mask >> i & 1) == 0) lines[i] = instead;
      }
      const auto again = mended(text_of(lines), kSaved);
      EXPECT_EQ(again.text, text_of(kSaved)) << mask << instead;
      ASSERT_EQ(again.said.size(), 1u) << mask << instead;
      expect_parts(again.said[0], {"warning", "log.jsonl", "restored"});
    }
  }
  const TemporaryFolder folder;
  const auto gone = mend_log(folder / "log.jsonl", kSaved, 2);
  EXPECT_EQ(gone.text, text_of(kSaved));
  expect_parts(gone.said.at(0), {"epochs 0 to 2", "restored"});
}

TEST(MendLog, AnEvaluationThatCameAfterTheCheckpointIsKept) {
  auto amended = kSaved;
  amended[2] = R"({"epoch":2,"x":2,"eval":{}})";
  const auto log = mended(text_of(amended), kSaved);
  EXPECT_EQ(log.text, text_of(amended));
  EXPECT_TRUE(log.said.empty());
}

TEST(MendLog, AnEvaluationOfOtherNumbersIsNot) {
  for (const char* line :
       {R"({"epoch":2,"x":3,"eval":{}})", R"({"epoch":2,"eval":{}})",
        R"({"epoch":2,"x":2,"eval":5})",
        R"({"epoch":2,"x":2,"eval":{},"wall_s":"9"})"}) {
    auto edited = kSaved;
    edited[2] = line;
    const auto log = mended(text_of(edited), kSaved);
    EXPECT_EQ(log.text, text_of(kSaved)) << line;
    expect_parts(log.said.at(0), {"epoch 2", "changed"});
  }
}

TEST(MendLog, EditedLinesAreRestoredAndNamed) {
  auto edited = kSaved;
  edited[0] = R"({"epoch":0})";
  edited[1] = R"({"epoch":1,"x":100})";
  const auto log = mended(text_of(edited), kSaved);
  EXPECT_EQ(log.text, text_of(kSaved));
  expect_parts(log.said.at(0), {"epochs 0 to 1", "changed"});
}

TEST(MendLog, LaterEpochsAreDroppedAndNamed) {
  auto later = kSaved;
  later.push_back(R"({"epoch":3})");
  later.push_back(R"({"epoch":4})");
  const auto log = mended(text_of(later), kSaved);
  EXPECT_EQ(log.text, text_of(kSaved));
  expect_parts(log.said.at(0), {"epochs 3 to 4", "again"});
}

TEST(MendLog, TheLastEpochIsFoundBehindDamage) {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  int64_t damaged = -1;
  EXPECT_EQ(last_epoch_in(path, damaged), -1);
  EXPECT_EQ(damaged, 0);
  write_file_atomic(path, "{\"epoch\":0}\nnothing\n{\"epoch\":7}\n{\"epo");
  EXPECT_EQ(last_epoch_in(path, damaged), 7);
  EXPECT_EQ(damaged, 2);
  write_file_atomic(path, "{\"epo");
  EXPECT_EQ(last_epoch_in(path, damaged), -1);
  EXPECT_EQ(damaged, 0);
}

}  // namespace
}  // namespace rsm
