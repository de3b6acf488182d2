// What TensorBoard reads of a run.

#include "rsm/runs/tensorboard.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/io/event_file.h"
#include "rsm/io/files.h"
#include "rsm/io/full_disk_testing.h"
#include "rsm/io/testing.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kLines = {
    R"({"epoch": 0, "wall_s": 1.5, "eval": {"kl": 0, "metrics": {"a": 1}}})",
    R"({"epoch": 1, "wall_s": 2.5, "loss": 0.25, "kl": null, "n": 1e300,)"
    R"( "warnings": ["3"], "by_step": {"kl": [1, 2]}, "seconds": {"old": 2}})",
    R"({"epoch": 2, "wall_s": 3.5, "loss": -0.5})"};

std::string written(const std::string& folder) {
  return read_file(folder + "/" + kEventFile);
}

TEST(TensorBoard, TheFileIsAFunctionOfTheLog) {
  const TemporaryFolder whole, parts;
  TensorBoard(whole.path()).follow(kLines);
  TensorBoard board(parts.path());
  for (size_t count = 0; count <= kLines.size(); ++count) {
    board.follow({kLines.begin(), kLines.begin() + count});
  }
  EXPECT_EQ(written(parts.path()), written(whole.path()));
  // A run that was set back.
  TensorBoard(parts.path()).follow({kLines[0]});
  const auto first = event_record(
      {0,
       1.5,
       {{"eval/kl", 0}, {"eval/metrics/a", 1}, {"train/wall_s", 1.5}},
       {}});
  EXPECT_EQ(written(parts.path()), event_file_head() + first);
  TensorBoard(parts.path()).follow({kLines[0], kLines[1]});
  const auto second = event_record(
      {1,
       2.5,
       {{"train/loss", 0.25}, {"seconds/old", 2}, {"train/wall_s", 2.5}},
       {}});
  EXPECT_EQ(written(parts.path()), event_file_head() + first + second);
}

TEST(TensorBoard, AFullDiskIsSaidAndMadeUpFor) {
  const TemporaryFolder folder, whole;
  TensorBoard board(folder.path());
  board.follow({kLines[0]});
  const auto before = written(folder.path());
  {
    const FullDisk disk(before.size() + 10);
    expect_parts(error_of([&] {
                   board.follow({kLines[0], kLines[1]});
                 }),
                 {kEventFile, "File too large"});
    EXPECT_EQ(written(folder.path()), before);
  }
  board.follow(kLines);
  TensorBoard(whole.path()).follow(kLines);
  EXPECT_EQ(written(folder.path()), written(whole.path()));
}

/** A run with its evaluations' pictures, that is stopped and goes on. */
TEST(TensorBoard, ItsOwnReaderFindsEveryNumberAndPictureOnce) {
  const TemporaryFolder folder;
  const auto options =
      quick_run(folder / "run", {"log.tensorboard=true", "train.lora.rank=1",
                                 "train.epochs=3", "checkpoint.every=2"});
  {
    NoProgress silent;
    Finetune run(options, silent);
    for (int epoch = 0; epoch < 2; ++epoch) run.run_epoch();
  }
  // A line without its checkpoint, whose epoch is done again; a torn record.
  write_file_atomic(
      folder / "run/log.jsonl",
      read_file(folder / "run/log.jsonl") + "{\"epoch\": 3, \"loss\": 1000}\n");
  const std::string file = folder / ("run/" + std::string(kEventFile));
  const auto stopped = read_file(file);
  write_file_atomic(file, stopped.substr(0, stopped.size() - 7));
  run_to_end(options);
  run_python("tensorboard_peer.py", folder / "run");
}

TEST(TensorBoard, IsLeftOutUnlessItIsAskedFor) {
  const TemporaryFolder folder;
  run_to_end(quick_run(folder / "run", {"train.epochs=0"}));
  EXPECT_FALSE(fs::exists(folder / ("run/" + std::string(kEventFile))));
}

}  // namespace
}  // namespace rsm
