#include "rsm/runs/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

constexpr int64_t kSteps = 3, kPaths = 4;

class NoConditions : public Conditioner {
 public:
  Condition encode(const std::vector<std::string>& texts) const override {
    return {at::zeros({std::ssize(texts), 1, 1}), {}};
  }
};

RolloutPlan plan() {
  RolloutPlan out;
  out.estimator.source = EstimatorKnobs::Source::trajectory;
  out.steps = kSteps;
  return out;
}

/** Path i of epoch e is of numbers 10 e + i, and has a reward. */
Sampled epoch_of(int64_t epoch, const std::vector<float>& rewards) {
  Sampled out;
  static_cast<RolloutIndex&>(out.rollout) =
      lay_out(plan(), Transitions(kSteps), Prompts(kPaths), 1);
  const auto numbers = 10 * epoch + at::arange(kPaths, at::kFloat);
  out.rollout.latents = numbers.view({-1, 1, 1, 1}).contiguous();
  out.rollout.x = numbers.repeat_interleave(kSteps).view({-1, 1, 1, 1});
  out.rollout.y = out.rollout.x.clone();
  out.scores.value = torch::tensor(rewards);
  return out;
}

GradientKnobs replaying(int64_t epochs, int64_t age = 0,
                        GradientKnobs::Draw draw = GradientKnobs::Draw::even) {
  GradientKnobs knobs;
  knobs.replay = epochs;
  knobs.replay_age = age;
  knobs.replay_draw = draw;
  return knobs;
}

/** The numbers of the paths that an epoch trains. */
std::vector<int64_t> trained(Replay& replay, int64_t epoch, uint64_t seed = 1,
                             const std::vector<float>& rewards = {1, 1, 1, 1}) {
  const auto out = replay.mixed(epoch_of(epoch, rewards), epoch, seed, plan(),
                                NoConditions());
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < kPaths; ++i) {
    numbers.push_back(out.rollout.latents[i].item<int64_t>());
    EXPECT_EQ(out.rollout.x[i * kSteps + 1].item<int64_t>(), numbers.back());
  }
  return numbers;
}

TEST(Replay, DrawsEachPathOnceFromItsOwnEpochAndThoseBefore) {
  const TemporaryFolder folder;
  Replay replay(folder / "run", replaying(2));
  std::set<int64_t> epochs;
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const auto numbers = trained(replay, epoch, epoch);
    EXPECT_EQ(std::set<int64_t>(numbers.begin(), numbers.end()).size(), 4u);
    for (const int64_t number : numbers) epochs.insert(epoch - number / 10);
  }
  EXPECT_EQ(epochs, (std::set<int64_t>{0, 1, 2}));
}

TEST(Replay, OfAnAgeTrainsTheEpochBeforeAndAtFirstTheOldest) {
  const TemporaryFolder folder;
  Replay replay(folder / "run", replaying(1, 1));
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    auto numbers = trained(replay, epoch);
    std::sort(numbers.begin(), numbers.end());
    const int64_t first = 10 * std::max<int64_t>(0, epoch - 1);
    EXPECT_EQ(numbers,
              (std::vector<int64_t>{first, first + 1, first + 2, first + 3}));
  }
}

TEST(Replay, ByRewardDrawsTheBestMostAndTheWorstNever) {
  const TemporaryFolder folder;
  Replay replay(folder / "run", replaying(1, 0, GradientKnobs::Draw::reward));
  std::map<int64_t, int64_t> count;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (const int64_t n : trained(replay, 0, seed, {3, 0, 1, -2})) ++count[n];
  }
  EXPECT_EQ(count.size(), 2u);
  EXPECT_NEAR(static_cast<double>(count[0]), 300, 45);  // 5 standard errors
  EXPECT_GT(count[2], 0);
}

TEST(Replay, ByRewardDrawsEvenlyWhereNothingIsRewarded) {
  const TemporaryFolder folder;
  Replay replay(folder / "run", replaying(1, 0, GradientKnobs::Draw::reward));
  auto numbers = trained(replay, 0, 1, {0, 0, -1, 0});
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(numbers, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(Replay, GoesOnFromAnotherFolderInTheSameNumbers) {
  const TemporaryFolder folder;
  Replay whole(folder / "whole", replaying(2));
  for (int64_t epoch = 0; epoch < 4; ++epoch) trained(whole, epoch);
  Replay other(folder / "other", replaying(2));
  const auto files = whole.files(4);
  other.copy_from(folder / "whole", 4, files);
  EXPECT_FALSE(is_there(folder / "other/replay/epoch-1.safetensors"));
  other.load(4, files);
  EXPECT_EQ(other.files(4), files);
  EXPECT_EQ(trained(other, 4, 9), trained(whole, 4, 9));
  // What the epoch under way draws is no part of what it goes on with.
  EXPECT_EQ(other.files(4), files);
  const std::string path = folder / "whole/replay/epoch-3.safetensors";
  std::filesystem::remove(path);
  expect_parts(error_of([&] { other.copy_from(folder / "whole", 4, files); }),
               {path, "missing"});
  other.copy_from(folder / "whole", 0, {});  // which replays nothing
}

TEST(Replay, GoesOnWithNoOtherFilesThanItsCheckpointNames) {
  const TemporaryFolder folder;
  Replay replay(folder / "run", replaying(2));
  for (int64_t epoch = 0; epoch < 4; ++epoch) trained(replay, epoch);
  const auto files = replay.files(4);
  const std::string name = "epoch-3.safetensors";
  const std::string path = folder / "run/replay/" + name;
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files.at(name), file_checksum(path));
  const auto load = [&](const Checksums& says) {
    Replay(folder / "run", replaying(2)).load(4, says);
  };
  const auto refused = [&](const Checksums& says) {
    return error_of([&] { load(says); });
  };
  load(files);
  const auto whole = read_file(path);
  auto bytes = whole;
  bytes.back() ^= 1;
  write_file_atomic(path, bytes);
  expect_parts(refused(files), {"[replay]", path, "checksum", "begin anew"});
  load({});  // of a checkpoint that says nothing of it
  const Replay other(folder / "other", replaying(2));
  expect_parts(error_of([&] { other.copy_from(folder / "run", 4, files); }),
               {path, "checksum", "--from-epoch"});
  write_file_atomic(path, whole);
  expect_parts(
      refused({{"epoch-2.safetensors", files.at("epoch-2.safetensors")}}),
      {path, "checksum"});
  std::filesystem::remove(path);
  expect_parts(refused(files), {path, "missing", "begin anew"});
}

}  // namespace
}  // namespace rsm
