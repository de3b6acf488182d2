#include "rsm/models/condition_cache.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/image_model.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

const std::string kModel = std::string(RSM_SOURCE_DIR) + "/models/shapes-flow";
const std::vector<std::string> kTexts = {"a red circle", "", "a cross",
                                         "a red circle"};

ConditionCacheOptions on_disk(const std::string& folder) {
  ConditionCacheOptions options;
  options.folder = folder;
  options.disk_bytes = 1 << 20;
  options.memory_bytes = 0;
  options.encoders = "these";
  return options;
}

/** Encoders whose weights are gone: what they are asked for throws. */
std::shared_ptr<TextEncoders> mute(const std::string& folder) {
  fs::copy(kModel, folder, fs::copy_options::recursive);
  auto text = check_model(folder);
  fs::remove_all(folder);
  return text;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) out.push_back(entry.path().string());
  }
  return out;
}

void expect_same(const Condition& a, const Condition& b) {
  EXPECT_TRUE(a.tokens.equal(b.tokens));
  EXPECT_TRUE(a.pooled.equal(b.pooled));
}

TEST(ConditionCache, GivesTheSameBitsFromMemoryAndDisk) {
  const auto text = check_model(kModel);
  const auto wanted = text->encode(kTexts);
  const ConditionCache memory(text, {});
  expect_same(memory.encode(kTexts), wanted);
  expect_same(memory.encode(kTexts), wanted);
  const TemporaryFolder folder;
  NoProgress silent;
  ConditionCache(text, on_disk(folder / "c")).prepare(kTexts, silent);
  EXPECT_EQ(files_in(folder / "c").size(), 3U);
  const ConditionCache other(mute(folder / "m"), on_disk(folder / "c"));
  expect_same(other.encode(kTexts), wanted);
  EXPECT_ANY_THROW(other.encode({"a square"}));
}

TEST(ConditionCache, TellsEncodersApart) {
  const TemporaryFolder folder;
  NoProgress silent;
  ConditionCache(check_model(kModel), on_disk(folder / "c"))
      .prepare(kTexts, silent);
  auto others = on_disk(folder / "c");
  others.encoders = "those";
  const ConditionCache cache(mute(folder / "m"), others);
  EXPECT_ANY_THROW(cache.encode({"a cross"}));
}

TEST(ConditionCache, WritesDamagedFilesAgain) {
  const TemporaryFolder folder;
  const auto text = check_model(kModel);
  const ConditionCache cache(text, on_disk(folder / "c"));
  const auto wanted = cache.encode({"a cross"});
  const auto file = files_in(folder / "c").at(0);
  const auto whole = read_file(file);
  write_file_atomic(file, whole.substr(0, whole.size() / 2));
  expect_same(cache.encode({"a cross"}), wanted);
  EXPECT_EQ(read_file(file), whole);
}

TEST(ConditionCache, StaysWithinItsBound) {
  const TemporaryFolder folder;
  const auto text = check_model(kModel);
  const auto one = text->encode({""});
  const auto bytes =
      static_cast<int64_t>(one.tokens.nbytes() + one.pooled.nbytes());
  auto options = on_disk(folder / "c");
  options.disk_bytes = 3 * (bytes + 1000);  // headers included
  ConditionCache cache(text, options);
  for (int i = 0; i < 8; ++i) {
    const auto words = cat("a circle, ", i);
    expect_same(cache.encode({words}), text->encode({words}));
    int64_t all = 0;
    for (const auto& file : files_in(folder / "c")) {
      all += static_cast<int64_t>(fs::file_size(file));
    }
    EXPECT_LE(all, options.disk_bytes);
  }
  EXPECT_GE(files_in(folder / "c").size(), 2U);
  // More than it holds: nothing is made ready, and the encoders stay.
  NoProgress silent;
  const auto before = files_in(folder / "c").size();
  cache.prepare({"a", "b", "c", "d", "e"}, silent);
  EXPECT_LE(files_in(folder / "c").size(), before + 1);
}

}  // namespace
}  // namespace rsm
