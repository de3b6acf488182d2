#include "rsm/estimators/picture_groups.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rsm/estimators/testing.h"

namespace rsm {
namespace {

using Grouping = EstimatorKnobs::Grouping;
using Labels = std::vector<int64_t>;

Labels groups(const Rollout& rollout, EstimatorKnobs knobs, Grouping grouping) {
  knobs.grouping = grouping;
  return picture_groups(rollout, knobs);
}

TEST(PictureGroups, AreThePicturesThatAreCompared) {
  // Two prompts of two roots; two branches at the first step, three at the
  // second.
  const auto branches = small_rollout(true);
  const EstimatorKnobs knobs;
  EXPECT_EQ(groups(branches, knobs, Grouping::prompt),
            (Labels{0, 0, 1, 1, 1, 0, 0, 1, 1, 1,  //
                    2, 2, 3, 3, 3, 2, 2, 3, 3, 3}));
  EXPECT_EQ(groups(branches, knobs, Grouping::seed),
            (Labels{0, 0, 1, 1, 1, 2, 2, 3, 3, 3,  //
                    4, 4, 5, 5, 5, 6, 6, 7, 7, 7}));
  EXPECT_EQ(groups(branches, knobs, Grouping::root),
            (Labels{0, 0, 0, 0, 0, 1, 1, 1, 1, 1,  //
                    2, 2, 2, 2, 2, 3, 3, 3, 3, 3}));
}

TEST(PictureGroups, AreOfOnePrompt) {
  const auto branches = small_rollout(true);
  Labels halves(20, 0);
  std::fill(halves.begin() + 10, halves.end(), 1);
  EXPECT_EQ(groups(branches, EstimatorKnobs(), Grouping::batch), halves);
}

TEST(PictureGroups, OfPathsAreAPromptsPictures) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  const auto paths = small_rollout(false);
  EXPECT_EQ(groups(paths, knobs, Grouping::prompt), (Labels{0, 0, 1, 1}));
  EXPECT_EQ(groups(paths, knobs, Grouping::batch), (Labels{0, 0, 1, 1}));
}

TEST(PictureGroups, OfTreesAreAllLeavesOfAPrompt) {
  EXPECT_EQ(groups(small_tree(2), tree_knobs(), Grouping::seed), Labels(8, 0));
}

TEST(PictureGroups, OfJudgedStepsAreAllOfAPrompt) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::rollout;
  knobs.baseline = EstimatorKnobs::Baseline::previous_step;
  // Three pictures a path: before its first row, and behind each.
  auto paths = small_rollout(false);
  paths.image_prompt = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  paths.row_image = {1, 2, 4, 5, 7, 8, 10, 11};
  EXPECT_EQ(groups(paths, knobs, Grouping::prompt), paths.image_prompt);
}

}  // namespace
}  // namespace rsm
