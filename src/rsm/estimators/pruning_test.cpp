#include "rsm/estimators/pruning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/testing.h"

namespace rsm {
namespace {

using Grouping = EstimatorKnobs::Grouping;
using Source = EstimatorKnobs::Source;
using Spread = EstimatorKnobs::Spread;

// Of small_tree: rows 0, 1 at step 0; 2 to 5 at step 1; 6 to 9 at step 2.
constexpr size_t kTreeRows = 10;

TEST(TreeAdvantages, CompareMeansOfLeavesDepthByDepth) {
  const auto a = rows_of(small_tree(1), scores({1, 2, 3, 6}), tree_knobs());
  // Step 0: 1.5 and 4.5, mean 3, spread 1.5. Below: mean 3, squares 14 / 4.
  const double leaf = std::sqrt(3.5) + 1e-4;
  const std::vector<double> expected = {
      -1.5 / 1.5001, 1.5 / 1.5001, -2 / leaf, -1 / leaf, 0,
      3 / leaf,      -2 / leaf,    -1 / leaf, 0,         3 / leaf};
  ASSERT_EQ(values(a).size(), kTreeRows);
  for (size_t r = 0; r < kTreeRows; ++r) {
    EXPECT_FLOAT_EQ(values(a)[r], static_cast<float>(expected[r]));
  }
  EXPECT_EQ(alive(a), std::vector<bool>(kTreeRows, true));
  EXPECT_EQ(a.groups(), 3);
  EXPECT_DOUBLE_EQ(a.deviation[0], 1.5);
  EXPECT_DOUBLE_EQ(a.deviation[1], std::sqrt(3.5));
}

TEST(TreeAdvantages, CompareRootsWithRootsByPrompt) {
  auto knobs = tree_knobs();
  knobs.grouping = Grouping::prompt;
  knobs.spread = Spread::none;
  const auto a =
      rows_of(small_tree(2), scores({1, 1, 1, 1, 3, 3, 3, 3}), knobs);
  for (size_t r = 0; r < 2 * kTreeRows; ++r) {
    EXPECT_EQ(values(a)[r], r < kTreeRows ? -1 : 1);
  }
  knobs.grouping = Grouping::seed;
  EXPECT_EQ(rows_of(small_tree(2), scores({1, 1, 1, 1, 3, 3, 3, 3}), knobs)
                .dead_groups,
            6);
}

TEST(TreeAdvantages, DivideByTheSpreadOfAllImages) {
  auto knobs = tree_knobs();
  knobs.spread = Spread::global;
  const auto a = rows_of(small_tree(1), scores({1, 2, 3, 6}), knobs);
  EXPECT_FLOAT_EQ(values(a)[1], 1.5 / (std::sqrt(3.5) + 1e-4));
}

TEST(TreeAdvantages, OfRowsWithOneImageAreThoseOfBranches) {
  const auto branches = small_rollout(true);
  auto tree = branches;
  tree.row_images.assign(tree.rows(), 1);
  const auto of = scores(counted_normal(1, {branches.images()}));
  for (const auto grouping : {Grouping::seed, Grouping::prompt}) {
    EstimatorKnobs knobs;
    knobs.grouping = grouping;
    const auto expected = rows_of(branches, of, knobs);
    knobs.source = Source::tree;
    knobs.tree.split_steps = {0, 1};
    EXPECT_EQ(values(rows_of(tree, of, knobs)), values(expected));
    EXPECT_EQ(values(rows_of(branches, of, knobs)), values(expected));
  }
}

TEST(TreeAdvantages, SumToZeroAtEveryDepth) {
  const auto a =
      rows_of(small_tree(2), scores(counted_normal(2, {8})), tree_knobs());
  std::vector<double> sums(a.groups(), 0);
  for (size_t r = 0; r < 2 * kTreeRows; ++r) sums[a.group[r]] += values(a)[r];
  // A few float32 values of order 1.
  for (const double sum : sums) EXPECT_NEAR(sum, 0, 1e-6);
}

TEST(TreeAdvantages, RefuseImagesThatAreNotThere) {
  const auto knobs = tree_knobs();
  const auto of = scores({1, 2, 3, 6});
  auto tree = small_tree(1);
  tree.row_images[1] = 3;  // images 2 to 4 of 4
  EXPECT_THROW(rows_of(tree, of, knobs), Error);
  tree.row_images[1] = 0;
  EXPECT_THROW(rows_of(tree, of, knobs), Error);
  tree.row_images.pop_back();
  EXPECT_THROW(rows_of(tree, of, knobs), Error);
  EXPECT_THROW(rows_of(small_tree(1), of, EstimatorKnobs{}), Error);
}

/** How many of the rows below the last split are kept. */
int64_t kept_leaves(double share, const std::vector<double>& reward) {
  auto knobs = tree_knobs().tree;
  knobs.keep_leaves = share;
  const auto trained = trained_rows(small_tree(1), reward, knobs);
  return std::count(trained.begin() + 6, trained.end(), true);
}

TEST(TrainedRows, KeepTheShareOfLeavesRoundedUp) {
  const std::vector<double> reward = {4, 1, 3, 2};
  EXPECT_EQ(kept_leaves(0.01, reward), 1);
  EXPECT_EQ(kept_leaves(0.25, reward), 1);
  EXPECT_EQ(kept_leaves(0.26, reward), 2);
  EXPECT_EQ(kept_leaves(0.5, reward), 2);
  EXPECT_EQ(kept_leaves(0.75, reward), 3);
  EXPECT_EQ(kept_leaves(1, reward), 4);
  // Not two, though the doubles say 1.0000000000000002.
  EXPECT_EQ(kept_leaves(0.25 * (1 + 2.3e-16), reward), 1);
}

TEST(TrainedRows, KeepTheBestOfEachRoot) {
  auto knobs = tree_knobs().tree;
  knobs.keep_leaves = 0.5;
  // Root 1 is worse throughout; in root 0 the first of equals is kept.
  const auto trained =
      trained_rows(small_tree(2), {9, 8, 9, 9, 1, 4, 2, 3}, knobs);
  std::vector<bool> expected(2 * kTreeRows, true);
  for (const size_t r : {7, 9, 16, 18}) expected[r] = false;
  EXPECT_EQ(trained, expected);
}

TEST(TrainedRows, LeaveOutTheStepsToSkip) {
  auto knobs = tree_knobs().tree;
  knobs.skip_steps = {1, 7};
  const auto trained = trained_rows(small_tree(1), {1, 2, 3, 6}, knobs);
  for (size_t r = 0; r < kTreeRows; ++r) {
    EXPECT_EQ(trained[r], r < 2 || r >= 6) << r;
  }
}

TEST(TrainedRows, KeepTheBestAndTheWorst) {
  auto knobs = tree_knobs().tree;
  knobs.keep = TreeKnobs::Keep::extremes;
  // Rows 6 to 9 and 16 to 19 lead to the pictures.
  const auto kept = [&](double share) {
    knobs.keep_leaves = share;
    const auto trained =
        trained_rows(small_tree(2), {4, 1, 3, 2, 5, 6, 8, 7}, knobs);
    std::string out;
    for (const size_t first : {size_t{6}, size_t{16}}) {
      for (size_t r = first; r < first + 4; ++r) out += trained[r] ? 'x' : '.';
    }
    return out;
  };
  EXPECT_EQ(kept(0.01), "xx..x.x.");  // one each
  EXPECT_EQ(kept(0.5), "xx..x.x.");
  EXPECT_EQ(kept(0.75), "xx.xxxx.");  // the odd one from the worst
  EXPECT_EQ(kept(1), "xxxxxxxx");
}

TEST(SkippedSteps, SlideTowardsTheNoiseAndStop) {
  TreeKnobs knobs;
  knobs.skip_steps = {14, 15, 17};
  knobs.slide_stop = 12;
  EXPECT_EQ(skipped_steps(knobs, 1000), knobs.skip_steps);
  knobs.slide_every = 30;
  EXPECT_EQ(skipped_steps(knobs, 0), knobs.skip_steps);
  EXPECT_EQ(skipped_steps(knobs, 29), knobs.skip_steps);
  EXPECT_EQ(skipped_steps(knobs, 30), (std::vector<int64_t>{13, 14, 16}));
  EXPECT_EQ(skipped_steps(knobs, 60), (std::vector<int64_t>{12, 13, 15}));
  EXPECT_EQ(skipped_steps(knobs, 5000), (std::vector<int64_t>{12, 13, 15}));
  knobs.skip_steps.clear();
  EXPECT_TRUE(skipped_steps(knobs, 60).empty());
}

TEST(TrainedRows, RefuseWhatIsNoShareAndNoSuchTree) {
  const std::vector<double> reward = {1, 2, 3, 6};
  auto knobs = tree_knobs().tree;
  for (const double share : {0.0, -0.5, 1.01, std::nan("")}) {
    knobs.keep_leaves = share;
    EXPECT_THROW(trained_rows(small_tree(1), reward, knobs), Error) << share;
  }
  knobs.keep_leaves = 0.5;
  knobs.split_steps = {};
  EXPECT_THROW(trained_rows(small_tree(1), reward, knobs), Error);
}

TEST(PrunedAdvantages, KeepTheCreditOfTheRowsAbove) {
  auto knobs = tree_knobs();
  const auto of = scores({1, 2, 3, 6});
  const auto whole = rows_of(small_tree(1), of, knobs);
  knobs.tree.keep_leaves = 0.5;
  knobs.tree.skip_steps = {1};
  const auto pruned = rows_of(small_tree(1), of, knobs);
  // Images 2 and 3 are the better half; step 1 is skipped.
  const std::vector<bool> trained = {true,  true,  false, false, false,
                                     false, false, false, true,  true};
  EXPECT_EQ(alive(pruned), trained);
  for (size_t r = 0; r < kTreeRows; ++r) {
    EXPECT_EQ(values(pruned)[r], trained[r] ? values(whole)[r] : 0) << r;
  }
  // What is left out is not what has no spread.
  EXPECT_EQ(pruned.dead_groups, 0);
  EXPECT_EQ(pruned.deviation, whole.deviation);
}

TEST(PrunedAdvantages, AreOfTreesAlone) {
  EstimatorKnobs knobs;
  const auto branches = small_rollout(true);
  const auto of = scores(counted_normal(3, {branches.images()}));
  const auto before = rows_of(branches, of, knobs);
  knobs.tree.keep_leaves = 0.5;
  knobs.tree.skip_steps = {0};
  EXPECT_EQ(alive(rows_of(branches, of, knobs)), alive(before));
}

}  // namespace
}  // namespace rsm
