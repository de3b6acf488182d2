#include "rsm/runs/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/full_disk_testing.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint_mark.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

Checkpoint numbered(int64_t epoch) {
  Checkpoint checkpoint;
  checkpoint.epoch = epoch;
  checkpoint.tensors = {{"w", at::full({3}, static_cast<double>(epoch))}};
  checkpoint.spent = {10 * epoch, 20 * epoch, epoch, 0.1 * epoch, 0.3 * epoch};
  checkpoint.machine = "this one";
  checkpoint.config = "seed: 1\n";
  checkpoint.inputs = {"m", "/m", {{"a", "1"}}, {}, {}};
  checkpoint.inputs.prompts["prompts.train"] = {"p.txt", 3, "2"};
  checkpoint.replay = {{"epoch-0.safetensors", "3"}};
  checkpoint.log = {"{\"epoch\":0}", "{\"epoch\":1}"};
  return checkpoint;
}

std::string file_of(const TemporaryFolder& folder, const std::string& name) {
  return folder.path() + "/checkpoints/" + name;
}

TEST(Checkpoint, TheNewestComesBackAndTwoAreKept) {
  const TemporaryFolder folder;
  for (const int64_t epoch : {1, 5, 10}) {
    save_checkpoint(folder.path(), numbered(epoch));
  }
  std::vector<std::string> damaged;
  const auto latest = latest_checkpoint(folder.path(), &damaged);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->epoch, 10);
  EXPECT_EQ(latest->spent.images, 100);
  EXPECT_TRUE(at::equal(latest->tensors.at("w"), at::full({3}, 10.0)));
  EXPECT_TRUE(damaged.empty());
  EXPECT_FALSE(fs::exists(file_of(folder, "epoch-000001.safetensors")));
  EXPECT_TRUE(fs::exists(file_of(folder, "epoch-000005.safetensors")));
}

TEST(Checkpoint, ADamagedOneIsPassedOverAndNamed) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  save_checkpoint(folder.path(), numbered(2));
  const auto path = file_of(folder, "epoch-000002.safetensors");
  auto bytes = read_file(path);
  bytes.back() ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  std::vector<std::string> damaged;
  const auto latest = latest_checkpoint(folder.path(), &damaged);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->epoch, 1);
  ASSERT_EQ(damaged.size(), 1u);
  expect_parts(damaged[0], {"epoch-000002", "checksum"});
}

TEST(Checkpoint, OneWithoutItsMarkWasNeverFinished) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  save_checkpoint(folder.path(), numbered(2));
  fs::remove(file_of(folder, "epoch-000002.json"));
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), &damaged)->epoch, 1);
  EXPECT_TRUE(damaged.empty());
}

TEST(Checkpoint, NoneInAnEmptyFolder) {
  const TemporaryFolder folder;
  EXPECT_FALSE(latest_checkpoint(folder.path()));
}

/** A mark's checksum as it should be of all the rest. */
void sum_up(json& mark) {
  mark.erase("checksum");
  mark["checksum"] = checksum(mark.dump());
}

/** Changes the mark of epoch 2; it should be passed over for `reasons`. */
void expect_damaged(const std::function<void(json&)>& change,
                    const std::vector<std::string>& reasons) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  save_checkpoint(folder.path(), numbered(2));
  const auto path = file_of(folder, "epoch-000002.json");
  auto mark = read_json(path);
  change(mark);
  write_json_atomic(path, mark);
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), &damaged).value().epoch, 1);
  ASSERT_EQ(damaged.size(), 1u);
  expect_parts(damaged[0], {"epoch-000002.json"});
  expect_parts(damaged[0], reasons);
}

TEST(CheckpointMark, ComesBackWhole) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(7));
  const std::string sum(64, '0');
  EXPECT_EQ(mark_text(latest_checkpoint(folder.path()).value(), sum),
            mark_text(numbered(7), sum));
}

TEST(CheckpointMark, OfAnEarlierVersionNamesNoReplayedFiles) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(2));
  const auto path = file_of(folder, "epoch-000002.json");
  auto mark = read_json(path);
  EXPECT_EQ(mark.at("replay").size(), 1u);
  mark.erase("replay");
  sum_up(mark);
  write_json_atomic(path, mark);
  EXPECT_TRUE(read_checkpoint(folder.path(), 2).replay.empty());
}

TEST(CheckpointMark, NoFieldIsBelievedWithoutItsChecksum) {
  expect_damaged([](json& mark) { mark["epoch"] = 99; }, {"checksum"});
  expect_damaged([](json& mark) { mark["counters"]["images"] = 21; },
                 {"checksum"});
  expect_damaged([](json& mark) { mark.erase("log"); }, {"checksum"});
  expect_damaged([](json& mark) { mark.erase("checksum"); },
                 {"checksum is missing"});
  expect_damaged([](json& mark) { mark = json::array(); }, {"object"});
}

TEST(CheckpointMark, FieldsOfOtherKindsAreNamed) {
  const auto expect_refused = [](const char* pointer, const json& value,
                                 const std::vector<std::string>& reasons) {
    expect_damaged(
        [&](json& mark) {
          mark[json::json_pointer(pointer)] = value;
          sum_up(mark);
        },
        reasons);
  };
  for (const json& bad : {json(), json("text"), json(-3), json(1.5),
                          json(1e300), json::array(), json::object()}) {
    for (const char* counter : {"images", "evaluations", "updates"}) {
      expect_refused(cat("/counters/", counter).c_str(), bad,
                     {cat("counters.", counter), "an integer"});
    }
    expect_refused("/epoch", bad, {"epoch", "an integer"});
  }
  expect_refused("/epoch", 99, {"epoch 99"});
  expect_refused("/counters", json::object(), {"counters.images is missing"});
}

TEST(CheckpointMark, UnderAnotherNameIsDamaged) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  for (const char* ending : {".json", ".safetensors"}) {
    fs::copy(file_of(folder, "epoch-000001") + ending,
             file_of(folder, "epoch-000099") + ending);
  }
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), &damaged)->epoch, 1);
  expect_parts(damaged.at(0), {"epoch-000099.json", "epoch 1"});
}

TEST(CheckpointMark, OfAnotherVersionIsNotTakenForDamage) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  const auto path = file_of(folder, "epoch-000001.json");
  auto mark = read_json(path);
  for (const int64_t format : {1, 3}) {
    mark["format"] = format;
    sum_up(mark);
    write_json_atomic(path, mark);
    expect_parts(error_of([&] { latest_checkpoint(folder.path()); }),
                 {path, cat("format ", format), "the version that wrote it"});
  }
}

TEST(Checkpoint, DamagedOnesNeverPushOutWholeOnes) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  for (const char* name : {"epoch-000098.json", "epoch-000099.json"}) {
    write_file_atomic(file_of(folder, name), "{}");
  }
  save_checkpoint(folder.path(), numbered(2));
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), &damaged)->epoch, 2);
  EXPECT_EQ(damaged.size(), 2u);
  EXPECT_EQ(last_epoch_named(folder.path()), 99);
}

TEST(Checkpoint, TidyingKeepsTheWholeAndNamesTheRest) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  save_checkpoint(folder.path(), numbered(2));
  write_file_atomic(file_of(folder, "epoch-000009.json"), "{}");
  write_file_atomic(file_of(folder, "epoch-000004.safetensors"), "half");
  write_file_atomic(file_of(folder, "notes.json"), "mine");
  const auto said = tidy_checkpoints(folder.path(), 2);
  ASSERT_EQ(said.size(), 2u);
  expect_parts(said[0], {"epoch-000009", "damaged"});
  expect_parts(said[1], {"epoch-000004.safetensors"});
  EXPECT_TRUE(fs::exists(file_of(folder, "epoch-000009.json.damaged")));
  EXPECT_FALSE(fs::exists(file_of(folder, "epoch-000004.safetensors")));
  EXPECT_TRUE(fs::exists(file_of(folder, "notes.json")));
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), &damaged)->epoch, 2);
  EXPECT_TRUE(damaged.empty());
  EXPECT_TRUE(tidy_checkpoints(folder.path(), 2).empty());
}

TEST(Checkpoint, OnAFullDiskTheOneBeforeStays) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  // In the tensors, and in the mark.
  for (const uint64_t bytes : {20, 300}) {
    const auto save_short_of_space = [&] {
      const FullDisk disk(bytes);
      save_checkpoint(folder.path(), numbered(2));
    };
    expect_parts(error_of(save_short_of_space), {"epoch-000002"});
    std::vector<std::string> damaged;
    EXPECT_EQ(latest_checkpoint(folder.path(), &damaged)->epoch, 1);
    EXPECT_TRUE(damaged.empty());
    EXPECT_EQ(remove_temporary_files(folder.path()), 0);
  }
}

}  // namespace
}  // namespace rsm
