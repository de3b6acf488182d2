// Runs that a full disk ends lose nothing.

#include <gtest/gtest.h>

#include <filesystem>

#include "finetune_testing.h"
#include "rsm/io/full_disk_testing.h"
#include "rsm/report/report.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A LoRA so small that a checkpoint does not hide what other files need. */
RunOptions small_lora_options(const std::string& folder) {
  return options_of(
      folder,
      {"train.epochs=2", "train.lora.rank=1",
       "train.lora.targets=[norm_out.linear]", "checkpoint.every=10",
       "sampling.steps=6", "sampling.guidance_scale=1",
       "method.estimator.branches=[3, 0, 0, 0, 0, 0]", "evaluation.images=6"});
}

TEST(FullDisk, WhereverItEndsARunMoreSpaceLetsItGoOnToTheSameEnd) {
  const TemporaryFolder folder;
  run_to_end(small_lora_options(folder / "whole"));
  const auto options = small_lora_options(folder / "run");
  std::string errors;
  const auto fits = [&](uint64_t bytes) {
    const FullDisk disk(bytes);
    try {
      run_to_end(options);
      return true;
    } catch (const Error& error) {
      errors += cat(error.what(), "\n");
      return false;
    }
  };
  // In small steps where config.yaml fits and run.json, a little larger, not.
  for (uint64_t bytes = 2048; !fits(bytes);
       bytes += bytes < 8192 ? bytes / 16 : bytes) {
    ASSERT_LT(bytes, uint64_t{1} << 24) << errors;
  }
  expect_parts(errors,
               {"File too large", "config.yaml", "run.json", "checkpoints/"});
  expect_same_weights(folder / "whole", folder / "run");
  for (const auto& entry : fs::recursive_directory_iterator(folder / "run")) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos)
        << entry.path();
  }
}

TEST(FullDisk, ALineThatTheLogHasNoSpaceForIsTakenBack) {
  const TemporaryFolder folder;
  run_to_end(small_lora_options(folder / "whole"));
  const auto options = small_lora_options(folder / "run");
  const std::string log = options.folder + "/log.jsonl";
  {
    NoProgress silent;
    Finetune run(options, silent);
    const auto before = read_file(log);
    const FullDisk disk(before.size() + 100);
    expect_parts(error_of([&] { run.run_epoch(); }), {"File too large", log});
    EXPECT_EQ(read_file(log), before);
  }
  EXPECT_EQ(run_to_end(options).size(), 3u);
  expect_same_weights(folder / "whole", folder / "run");
}

TEST(FullDisk, AReportStaysWhereThereIsNoSpaceForTheNext) {
  const TemporaryFolder folder;
  const auto options = small_lora_options(folder / "run");
  run_to_end(options);
  report::write_report(options.folder);
  const std::string page = options.folder + "/report.html";
  const auto before = read_file(page);
  {
    const FullDisk disk(1000);
    expect_parts(error_of([&] { report::write_report(options.folder); }),
                 {"File too large", page});
  }
  EXPECT_EQ(read_file(page), before);
}

}  // namespace
}  // namespace rsm
