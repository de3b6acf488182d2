#include "rsm/train/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

Checkpoint numbered(int64_t epoch) {
  return {epoch,
          {{"w", at::full({3}, static_cast<double>(epoch))}},
          {{"images", 10 * epoch}}};
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
  EXPECT_EQ(latest->counters.at("images"), 100);
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

TEST(ChangedKeys, NameWhatChangesNumbersOnly) {
  const std::string before = "train:\n  lr: 0.1\n  epochs: 3\nseed: 1\n";
  EXPECT_TRUE(changed_keys(before, before).empty());
  EXPECT_TRUE(changed_keys(before,
                           "train:\n  lr: 0.1\n  epochs: 9\nseed: 1\n"
                           "compute:\n  threads: 4\n")
                  .empty());
  const auto changed =
      changed_keys(before, "train:\n  lr: 0.2\n  epochs: 3\nextra: 1\n");
  ASSERT_EQ(changed.size(), 3u);
  EXPECT_EQ(changed[0], "seed: 1 -> (gone)");
  EXPECT_EQ(changed[1], "train.lr: 0.1 -> 0.2");
  EXPECT_EQ(changed[2], "extra: (absent) -> 1");
}

TEST(ChangedKeys, OfRewardsAreNamesAndWeights) {
  const std::string plain = "reward: exec:judge\n";
  const std::string patient =
      "rewards:\n  - {name: 'exec:judge', weight: 1, timeout_seconds: 300}\n";
  EXPECT_TRUE(changed_keys(plain, patient).empty());
  EXPECT_TRUE(changed_keys(patient, plain).empty());
  for (const std::string other :
       {"rewards:\n  - {name: 'exec:judge', weight: 2}\n",
        "rewards:\n  - {name: 'exec:other', weight: 1}\n",
        "rewards:\n  - {name: 'exec:judge'}\n  - {name: shapes}\n"}) {
    EXPECT_EQ(changed_keys(patient, other).size(), 1u) << other;
  }
}

}  // namespace
}  // namespace rsm
