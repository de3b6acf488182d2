#include "rsm/runs/samples.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/data/sample_sheet.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** Eighteen prompts of three categories, two pictures each, of 4 x 4 pixels. */
EvaluationSet example_set() {
  Prompts prompts;
  for (int64_t i = 0; i < 18; ++i) {
    prompts.push_back({i, cat("prompt ", i), cat("category ", i % 3)});
  }
  return make_evaluation_set(prompts, 36, 5);
}

Evaluation example_evaluation(const EvaluationSet& set, double gain) {
  Evaluation out;
  out.thumbnails = at::full({std::ssize(set.shown), 3, 4, 4}, 0.5);
  out.pictures = pictures_of(set.prompts, set.members, set.seed);
  for (int64_t i = 0; i < set.size(); ++i) {
    const auto value = static_cast<double>(i % 5);
    out.pictures.metrics["reward"].push_back(value + gain);
    out.pictures.metrics["strict"].push_back(value > 2 ? 1 : 0);
  }
  return out;
}

struct Kept {
  TemporaryFolder folder;
  EvaluationSet set = example_set();

  Evaluation keep(const std::string& name, double gain, int64_t epoch = 0) {
    auto out = example_evaluation(set, gain);
    out.pictures.epoch = epoch;
    keep_evaluation(folder.path(), name, "strict", set, out);
    return out;
  }
  std::string path(const std::string& name) {
    return folder / ("samples/" + name);
  }
};

TEST(KeepEvaluation, LeavesPicturesPromptsAndScores) {
  Kept kept;
  EXPECT_TRUE(kept.keep("before", 0).warnings.empty());
  EXPECT_TRUE(kept.keep("after", 1).warnings.empty());
  const auto about = read_json(kept.path("prompts.json"));
  EXPECT_EQ(about["prompts"].size(), about["strict_before"].size());
  EXPECT_EQ(about["strict_before"], about["strict_after"]);
  // Columns of 4 pixels, twice as large, two pixels between.
  EXPECT_EQ(about["columns"], 8);
  EXPECT_EQ(about["tile_width"], 2 * 4);
  EXPECT_EQ(about["gap"], 2);
  EXPECT_EQ(read_png(kept.path("before.png")).size(2), 8 * (2 * 4 + 2) - 2);
  EXPECT_EQ(read_picture_scores(kept.path("scores-after.json"))
                .metrics.at("reward")[0],
            1);
}

TEST(KeepEvaluation, EveryEpochLeavesAGridThatSaysWhatItShows) {
  Kept kept;
  kept.keep("before", 0, 0);
  kept.keep("after", 1, 10);
  kept.keep("after", 1, 20);
  for (const int64_t epoch : {0, 10, 20}) {
    const auto sheet = read_sample_sheet(kept.path(sample_sheet_name(epoch)));
    EXPECT_EQ(sheet.epoch, epoch);
    EXPECT_EQ(sheet.seed, kept.set.seed);
    ASSERT_EQ(std::ssize(sheet.prompts), std::ssize(kept.set.shown));
    const int64_t last = kept.set.shown.back();
    EXPECT_EQ(sheet.prompts.back(), kept.set.prompts[last].text);
    EXPECT_EQ(sheet.members.back(), kept.set.members[last]);
    EXPECT_EQ(sheet.scores.back(), last % 5 > 2 ? 1 : 0);
    EXPECT_TRUE(torch::equal(
        sheet.grid,
        read_png(kept.path(epoch == 0 ? "before.png" : "after.png"))));
  }
}

TEST(KeepEvaluation, AfterIsPairedWithBefore) {
  Kept kept;
  kept.keep("before", 0);
  const auto after = kept.keep("after", 1);
  // All pictures gained the same.
  EXPECT_NEAR(after.all.change_errors.at("reward").standard, 0, 1e-12);
  EXPECT_TRUE(after.all.change_errors.contains("strict"));
}

TEST(KeepEvaluation, WithoutTheScoresBeforeNothingIsPaired) {
  const std::vector<std::function<void(Kept&)>> damages = {
      [](Kept& kept) { fs::remove(kept.path("scores-before.json")); },
      [](Kept& kept) {
        write_file_atomic(kept.path("scores-before.json"), "{\"version\": 1,");
      },
      [](Kept& kept) { kept.set.seed = 6; }};
  for (const auto& damage : damages) {
    Kept kept;
    kept.keep("before", 0);
    damage(kept);
    const auto after = kept.keep("after", 1);
    EXPECT_TRUE(after.all.change_errors.empty());
    ASSERT_EQ(after.warnings.size(), 1u);
    expect_parts(after.warnings[0], {"nothing is claimed"});
  }
}

TEST(KeepEvaluation, DamagedFilesAreNamedAndEndNothing) {
  Kept kept;
  kept.keep("before", 0);
  write_file_atomic(kept.path("prompts.json"), "[1,");
  auto after = kept.keep("after", 1);
  ASSERT_EQ(after.warnings.size(), 1u);
  expect_parts(after.warnings[0], {"prompts.json", "written anew"});
  EXPECT_TRUE(read_json(kept.path("prompts.json")).contains("strict_after"));
  // A folder that cannot be made.
  fs::remove_all(kept.folder / "samples");
  write_file_atomic(kept.folder / "samples", "");
  after = kept.keep("after", 1);
  EXPECT_EQ(after.warnings.size(), 5u);
}

TEST(KeepEvaluation, LargePicturesOfManyCategoriesStaySmall) {
  Kept kept;
  Prompts prompts;
  for (int64_t i = 0; i < 60; ++i) prompts.push_back({i, "p", cat(i)});
  kept.set = make_evaluation_set(prompts, 480, 5);
  auto large = example_evaluation(kept.set, 0);
  large.thumbnails = at::full({8 * 48, 3, 128, 64}, 0.5);
  keep_evaluation(kept.folder.path(), "before", "strict", kept.set, large);
  EXPECT_TRUE(large.warnings.empty()) << large.warnings[0];
  const auto grid = read_png(kept.path("before.png"));
  EXPECT_EQ(grid.size(1), 48 * (128 + 2) - 2);
  EXPECT_EQ(grid.size(2), 8 * (64 + 2) - 2);
  const auto about = read_json(kept.path("prompts.json"));
  EXPECT_EQ(about["tile_height"], 128);
  EXPECT_EQ(about["tile_width"], 64);
  EXPECT_EQ(grid[0][0][0].item<int>(), 128);
}

}  // namespace
}  // namespace rsm
