#include "rsm/runs/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint_mark.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

Checkpoint numbered(int64_t epoch) {
  Checkpoint checkpoint;
  checkpoint.epoch = epoch;
  checkpoint.tensors = {{"w", at::full({3}, static_cast<double>(epoch))}};
  checkpoint.spent = {10 * epoch, 20 * epoch, epoch, 0.1 * epoch, 0.3 * epoch};
  checkpoint.machine = "this one";
  checkpoint.config = "seed: 1\n";
  checkpoint.inputs = RunInputs{"m", "/m", {{"a", "1"}}, {}, {}};
  checkpoint.inputs->prompts["prompts.train"] = {"p.txt", 3, "2"};
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
  const auto latest = latest_checkpoint(folder.path(), damaged);
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
  const auto latest = latest_checkpoint(folder.path(), damaged);
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
  EXPECT_EQ(latest_checkpoint(folder.path(), damaged)->epoch, 1);
  EXPECT_TRUE(damaged.empty());
}

TEST(Checkpoint, NoneInAnEmptyFolder) {
  const TemporaryFolder folder;
  std::vector<std::string> damaged;
  EXPECT_FALSE(latest_checkpoint(folder.path(), damaged));
}

/** What a mark says, as numbered() has it. */
void expect_numbered(const Checkpoint& found, int64_t epoch) {
  const auto sum = std::string(64, '0');
  EXPECT_EQ(mark_text(found, sum), mark_text(numbered(epoch), sum));
}

/** Changes the mark of epoch 2; the newest checkpoint should then be `epoch`,
 * and what was passed over be explained by `reasons`. */
void expect_after(const std::function<void(nlohmann::json&)>& change,
                  int64_t epoch, const std::vector<std::string>& reasons) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  save_checkpoint(folder.path(), numbered(2));
  const auto path = file_of(folder, "epoch-000002.json");
  auto mark = read_json(path);
  change(mark);
  write_json_atomic(path, mark);
  std::vector<std::string> damaged;
  const auto latest = latest_checkpoint(folder.path(), damaged);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->epoch, epoch);
  if (!reasons.empty()) {
    ASSERT_EQ(damaged.size(), 1u);
    expect_parts(damaged[0], {"epoch-000002.json"});
    expect_parts(damaged[0], reasons);
  }
}

TEST(CheckpointMark, ComesBackWhole) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(7));
  std::vector<std::string> damaged;
  expect_numbered(latest_checkpoint(folder.path(), damaged).value(), 7);
}

TEST(CheckpointMark, NoFieldIsBelievedWithoutItsChecksum) {
  expect_after([](auto& mark) { mark["epoch"] = 99; }, 1, {"checksum"});
  expect_after([](auto& mark) { mark["counters"]["images"] = 21; }, 1,
               {"checksum"});
  expect_after([](auto& mark) { mark.erase("log"); }, 1, {"checksum"});
  expect_after([](auto& mark) { mark.erase("checksum"); }, 1,
               {"checksum is missing"});
  expect_after([](auto& mark) { mark = nlohmann::json::array(); }, 1,
               {"object"});
}

TEST(CheckpointMark, OfAnEarlierVersionCountsWhereEveryFieldIsRight) {
  const auto earlier = [](auto& mark) {
    for (const char* key : {"format", "checksum", "config", "inputs", "log"}) {
      mark.erase(key);
    }
  };
  expect_after(earlier, 2, {});
  using nlohmann::json;
  for (const json& bad : {json(), json("text"), json(-3), json(1.5),
                          json(1e300), json::array(), json::object()}) {
    for (const std::string key : {"images", "evaluations", "updates"}) {
      expect_after(
          [&](auto& mark) {
            earlier(mark);
            mark["counters"][key] = bad;
          },
          1, {"counters." + key, "an integer"});
    }
    expect_after(
        [&](auto& mark) {
          earlier(mark);
          mark["epoch"] = bad;
        },
        1, {"epoch", "an integer"});
  }
  expect_after(
      [&](auto& mark) {
        earlier(mark);
        mark["epoch"] = 99;
      },
      1, {"epoch 99"});
  expect_after(
      [&](auto& mark) {
        earlier(mark);
        mark["counters"].erase("images");
      },
      1, {"counters.images is missing"});
}

TEST(CheckpointMark, UnderAnotherNameIsDamaged) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  for (const char* ending : {".json", ".safetensors"}) {
    fs::copy(file_of(folder, "epoch-000001") + ending,
             file_of(folder, "epoch-000099") + ending);
  }
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), damaged)->epoch, 1);
  expect_parts(damaged.at(0), {"epoch-000099.json", "epoch 1"});
}

TEST(CheckpointMark, OfALaterVersionIsNotTakenForDamage) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  const auto path = file_of(folder, "epoch-000001.json");
  auto mark = read_json(path);
  mark.erase("checksum");
  mark["format"] = 3;
  mark["checksum"] = checksum(mark.dump());
  write_json_atomic(path, mark);
  std::vector<std::string> damaged;
  expect_parts(error_of([&] { latest_checkpoint(folder.path(), damaged); }),
               {path, "format 3", "version"});
}

TEST(Checkpoint, DamagedOnesNeverPushOutWholeOnes) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  for (const char* name : {"epoch-000098.json", "epoch-000099.json"}) {
    write_file_atomic(file_of(folder, name), "{}");
  }
  save_checkpoint(folder.path(), numbered(2));
  std::vector<std::string> damaged;
  EXPECT_EQ(latest_checkpoint(folder.path(), damaged)->epoch, 2);
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
  EXPECT_EQ(latest_checkpoint(folder.path(), damaged)->epoch, 2);
  EXPECT_TRUE(damaged.empty());
  EXPECT_TRUE(tidy_checkpoints(folder.path(), 2).empty());
}

TEST(Checkpoint, OnAFullDiskTheOneBeforeStays) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), numbered(1));
  // A limit on a file's size acts as a full disk does.
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  // In the tensors, and in the mark.
  for (const rlim_t most : {rlim_t{20}, rlim_t{300}}) {
    const rlimit small = {most, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto error =
        error_of([&] { save_checkpoint(folder.path(), numbered(2)); });
    setrlimit(RLIMIT_FSIZE, &old);
    expect_parts(error, {"epoch-000002"});
    std::vector<std::string> damaged;
    EXPECT_EQ(latest_checkpoint(folder.path(), damaged)->epoch, 1);
    EXPECT_TRUE(damaged.empty());
    EXPECT_EQ(remove_temporary_files(folder.path()), 0);
  }
  signal(SIGXFSZ, handler);
}

}  // namespace
}  // namespace rsm
