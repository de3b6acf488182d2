#include "rsm/runs/pending_rollout.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

Rollout small_rollout() {
  Rollout r;
  r.prompts = {{0, "a red circle", ""}, {1, "two crosses", ""}};
  r.transitions = {{0.9, 0.5, 1, -0.4, 0.1, 0, 0.4}};
  r.x = at::full({2, 1, 2, 2}, 1.5);
  r.y = at::full({2, 1, 2, 2}, 2.5);
  r.state_root = {0, 1};
  r.state_prompt = {0, 1};
  r.state_step = {0, 0};
  r.x_next = at::full({2, 1, 2, 2}, 3.5);
  r.row_state = {0, 1};
  r.row_image = {0, 1};
  r.latents = at::full({2, 1, 2, 2}, 4.5);
  r.image_prompt = {0, 1};
  r.evaluations = 12;
  return r;
}

class PendingRollout : public testing::Test {
 protected:
  void SetUp() override {
    kept_ = small_rollout();
    save_pending(folder_.path(), 3, kept_, notes_);
    path_ = folder_ / "pending-rollout.safetensors";
    notes_.said.clear();
  }
  /** Nothing where none is there. */
  std::optional<Rollout> load(int64_t epoch) {
    auto room = small_rollout();
    room.prompts = kept_.prompts;
    for (auto* tensor : {&room.x, &room.y, &room.x_next, &room.latents}) {
      *tensor = at::zeros_like(*tensor);
    }
    room.evaluations = 0;
    return load_pending(folder_.path(), epoch, room, notes_)
               ? std::optional(room)
               : std::nullopt;
  }

  TemporaryFolder folder_;
  Notes notes_;
  Rollout kept_;
  std::string path_;
};

TEST_F(PendingRollout, ComesBackForItsEpochOnly) {
  EXPECT_FALSE(load(2));
  const auto back = load(3);
  ASSERT_TRUE(back);
  expect_equal(*back, kept_);
  EXPECT_TRUE(notes_.said.empty());
  remove_pending(folder_.path(), 2);
  EXPECT_TRUE(std::filesystem::exists(path_));
  remove_pending(folder_.path(), 3);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PendingRollout, OfSomePromptsLeavesTheOthersRoomAsItIs) {
  save_pending(folder_.path(), 3, kept_, 1, notes_);
  expect_parts(notes_.all(), {"1 of 2 prompts", path_});
  auto room = small_rollout();
  for (auto* tensor : {&room.x, &room.y, &room.x_next, &room.latents}) {
    *tensor = at::zeros_like(*tensor);
  }
  EXPECT_EQ(load_pending(folder_.path(), 3, room, notes_), 1);
  for (const auto& [from, to] :
       {std::pair(kept_.x, room.x), std::pair(kept_.y, room.y),
        std::pair(kept_.x_next, room.x_next),
        std::pair(kept_.latents, room.latents)}) {
    EXPECT_TRUE(to[0].equal(from[0]));
    EXPECT_FALSE(to[1].any().item<bool>());
  }
  EXPECT_EQ(room.evaluations, kept_.evaluations);
}

TEST_F(PendingRollout, OfPromptsThatAreNotThereIsNamedAndDrawnAgain) {
  for (const int64_t drawn : {0, -1}) {
    save_pending(folder_.path(), 3, kept_, drawn, notes_);
    EXPECT_FALSE(load(3)) << drawn;
    expect_parts(
        notes_.said.back(),
        {"warning", path_, cat("it is of ", drawn, " prompts of 2"), "again"});
  }
}

TEST_F(PendingRollout, OfOtherPromptsIsNamedAndDrawnAgain) {
  kept_.prompts[1].text = "three crosses";
  EXPECT_FALSE(load(3));
  expect_parts(notes_.all(), {"warning", path_, "other prompts", "again"});
}

TEST_F(PendingRollout, OfOtherSizesIsNamedAndDrawnAgain) {
  auto room = small_rollout();
  room.x_next = at::zeros({3, 1, 2, 2});
  EXPECT_FALSE(load_pending(folder_.path(), 3, room, notes_));
  expect_parts(notes_.all(), {"warning", path_, "x_next", "again"});
  EXPECT_EQ(room.x_next.size(0), 3);
}

TEST_F(PendingRollout, NoDamagedByteGetsThrough) {
  const auto whole = read_file(path_);
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char flip : {'\1', '\x80'}) {
      auto bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      write_file_atomic(path_, bytes);
      // What the file says of its epoch may now be another's.
      EXPECT_FALSE(load(3)) << i;
    }
  }
  for (const size_t size : {size_t{0}, size_t{7}, whole.size() / 2}) {
    write_file_atomic(path_, whole.substr(0, size));
    EXPECT_FALSE(load(3)) << size;
  }
  remove_pending(folder_.path(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PendingRollout, MetadataThatIsNoNumberIsNoEnd) {
  auto file = read_safetensors(path_);
  for (const char* epoch : {"", "x", "3x", "99999999999999999999"}) {
    file.metadata["epoch"] = epoch;
    write_safetensors(path_, file.tensors, file.metadata);
    EXPECT_FALSE(load(3)) << epoch;
    expect_parts(notes_.said.back(), {path_, "epoch"});
  }
  file.metadata.erase("epoch");
  write_safetensors(path_, file.tensors, file.metadata);
  EXPECT_FALSE(load(3));
}

}  // namespace
}  // namespace rsm
