#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Combine = EstimatorKnobs::Combine;
using Grouping = EstimatorKnobs::Grouping;
using Source = EstimatorKnobs::Source;
using Spread = EstimatorKnobs::Spread;

EstimatorKnobs path_knobs() {
  EstimatorKnobs knobs;
  knobs.source = Source::rollout;
  knobs.grouping = Grouping::prompt;
  return knobs;
}

int64_t distinct(const Rollout& rollout, EstimatorKnobs knobs,
                 Grouping grouping) {
  knobs.grouping = grouping;
  return group_advantages(torch::zeros({rollout.rows()}),
                          row_groups(rollout, knobs), knobs, 5)
      .groups();
}

TEST(RowGroups, PartBranchesByStepButNotPaths) {
  EstimatorKnobs knobs;
  const auto branches = small_rollout(true);
  EXPECT_EQ(distinct(branches, knobs, Grouping::seed), 4 * 2);
  EXPECT_EQ(distinct(branches, knobs, Grouping::root), 4);
  EXPECT_EQ(distinct(branches, knobs, Grouping::prompt), 2 * 2);
  EXPECT_EQ(distinct(branches, knobs, Grouping::batch), 1);
  knobs.source = Source::rollout;
  const auto path = small_rollout(false);
  EXPECT_EQ(distinct(path, knobs, Grouping::prompt), 2);
  EXPECT_EQ(distinct(path, knobs, Grouping::batch), 1);
}

TEST(RowGroups, PartTreesByDepth) {
  const auto tree = small_tree(2);
  EXPECT_EQ(distinct(tree, tree_knobs(), Grouping::seed), 2 * 3);
  EXPECT_EQ(distinct(tree, tree_knobs(), Grouping::root), 2);
  EXPECT_EQ(distinct(tree, tree_knobs(), Grouping::prompt), 3);
  EXPECT_EQ(distinct(tree, tree_knobs(), Grouping::batch), 3);
}

TEST(RowAdvantages, DoNotDependOnTheOrderOfImages) {
  for (const bool branches : {false, true}) {
    auto rollout = small_rollout(branches);
    const auto reward = counted_normal(1, {rollout.images()});
    auto knobs = path_knobs();
    if (branches) knobs.source = Source::branches;
    const auto before = rows_of(rollout, scores(reward), knobs);
    // Image i moves to place[i].
    const auto place = counted_permutation(2, rollout.images());
    auto moved = torch::zeros_like(reward);
    moved.index_copy_(0, torch::tensor(place), reward);
    const auto image_prompt = rollout.image_prompt;
    for (size_t i = 0; i < place.size(); ++i) {
      rollout.image_prompt[place[i]] = image_prompt[i];
    }
    for (int64_t& image : rollout.row_image) image = place[image];
    const auto after = rows_of(rollout, scores(moved), knobs);
    for (size_t r = 0; r < values(before).size(); ++r) {
      // Sums in another order.
      EXPECT_FLOAT_EQ(values(after)[r], values(before)[r]);
    }
  }
}

TEST(RowAdvantages, OfAPromptDoNotDependOnOtherPrompts) {
  auto rollout = small_rollout(true);
  const auto reward = counted_normal(3, {rollout.images()});
  auto knobs = path_knobs();
  knobs.source = Source::branches;
  const auto all = values(rows_of(rollout, scores(reward), knobs));
  // The first prompt's two roots: 4 states, 10 rows, 10 images.
  rollout.state_root.resize(4);
  rollout.state_prompt.resize(4);
  rollout.state_step.resize(4);
  rollout.row_state.resize(10);
  rollout.row_image.resize(10);
  rollout.image_prompt.resize(10);
  const auto first =
      values(rows_of(rollout, scores(reward.slice(0, 0, 10)), knobs));
  EXPECT_EQ(first, std::vector<float>(all.begin(), all.begin() + 10));
}

TEST(RowAdvantages, APathsRowsShareTheirImages) {
  const auto path = small_rollout(false);
  auto knobs = path_knobs();
  knobs.spread = Spread::global;
  const auto reward = rewards({1, 3, 10, 14});
  const auto rows = rows_of(path, scores(reward), knobs);
  const auto images = group_advantages(reward, {0, 0, 1, 1}, knobs, 5);
  ASSERT_EQ(rows.value.numel(), 8);
  for (int64_t r = 0; r < 8; ++r) {
    EXPECT_EQ(values(rows)[r], values(images)[r / 2]);
    EXPECT_EQ(rows.group[r], r / 4);
  }
  EXPECT_EQ(rows.groups(), 2);
}

TEST(RowAdvantages, BranchesAreComparedWithinTheirRootAndStep) {
  const auto branches = small_rollout(true);
  std::vector<float> reward(branches.images(), 0.5f);
  reward[0] = 1;  // root 0, step 0, K = 2
  const auto a = rows_of(branches, scores(reward), EstimatorKnobs{});
  EXPECT_NEAR(values(a)[0], 0.25 / 0.2501, 1e-6);
  EXPECT_NEAR(values(a)[1], -0.25 / 0.2501, 1e-6);
  EXPECT_EQ(a.dead_groups, 7);
  const auto steps = spread_by_step(branches, a);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].groups, 4);
  EXPECT_DOUBLE_EQ(steps[0].spread, 0.25 / 4);
  EXPECT_DOUBLE_EQ(steps[0].dead_share, 0.75);
  EXPECT_DOUBLE_EQ(steps[1].dead_share, 1);
  EXPECT_EQ(steps[2].groups, 0);
}

TEST(RowAdvantages, RefuseRewardsThatAreNotOneAnImage) {
  EXPECT_THROW(
      rows_of(small_rollout(true), scores(torch::zeros({3})), EstimatorKnobs{}),
      Error);
}

/** Scores whose value is the weighted sum of the parts. */
RewardScores combined(const std::vector<RewardPart>& parts) {
  RewardScores out;
  out.value = torch::zeros_like(parts.at(0).value);
  for (const auto& part : parts) out.value += part.weight * part.value;
  out.parts = parts;
  return out;
}

TEST(CombinedAdvantages, OfOneRewardAreThatRewards) {
  const auto path = small_rollout(false);
  const auto reward = counted_normal(4, {4});
  for (const auto baseline : {Baseline::mean, Baseline::leave_one_out,
                              Baseline::running, Baseline::none}) {
    for (const auto spread : {Spread::group, Spread::global, Spread::none}) {
      auto knobs = path_knobs();
      knobs.baseline = baseline;
      knobs.spread = spread;
      const auto of = combined({{"a", 1, reward}});
      PromptStatistics first(knobs.buffer_size), second(knobs.buffer_size);
      const auto summed = row_advantages(path, of, knobs, 5, &first);
      knobs.combine = Combine::advantages;
      const auto compared = row_advantages(path, of, knobs, 5, &second);
      EXPECT_EQ(values(compared), values(summed));
      EXPECT_EQ(alive(compared), alive(summed));
      EXPECT_EQ(compared.deviation, summed.deviation);
      const auto without_parts =
          row_advantages(path, scores(reward), knobs, 5, &second);
      EXPECT_EQ(values(without_parts), values(summed));
    }
  }
}

TEST(CombinedAdvantages, AreProportionalToTheWeight) {
  const auto path = small_rollout(false);
  const auto reward = counted_normal(5, {4});
  auto knobs = path_knobs();
  knobs.combine = Combine::advantages;
  const auto once = rows_of(path, combined({{"a", 1, reward}}), knobs);
  const auto twice = rows_of(path, combined({{"a", -2, reward}}), knobs);
  for (size_t r = 0; r < 8; ++r) {
    EXPECT_EQ(values(twice)[r], -2 * values(once)[r]);
  }
}

TEST(CombinedAdvantages, AreAddedUpAndThenClipped) {
  const auto path = small_rollout(false);
  auto knobs = path_knobs();
  knobs.spread = Spread::none;
  knobs.combine = Combine::advantages;
  // Centred: (-1, 1) and dead; dead and 0.5 (-2, 2).
  const auto of = combined(
      {{"a", 1, rewards({0, 2, 5, 5})}, {"b", 0.5, rewards({1, 1, 0, 4})}});
  const auto a = rows_of(path, of, knobs);
  const std::vector<float> sum = {-1, -1, 1, 1, -1, -1, 1, 1};
  EXPECT_EQ(values(a), sum);
  EXPECT_EQ(alive(a), std::vector<bool>(8, true));
  EXPECT_EQ(a.dead_groups, 0);
  // 3 - 2.5 is 0.5, within the clip range, though its terms are not.
  const auto opposed = rows_of(path,
                               combined({{"a", 3, rewards({0, 2, 0, 2})},
                                         {"b", -2.5, rewards({0, 2, 0, 0})}}),
                               knobs, 1);
  EXPECT_FLOAT_EQ(values(opposed)[2], 0.5);
  EXPECT_FLOAT_EQ(values(opposed)[6], 1);
}

/** GDPO's, as its paper writes it: rewards [prompts, samples]. */
torch::Tensor published_gdpo(const std::vector<RewardPart>& parts,
                             double offset) {
  torch::Tensor sum;
  for (const auto& part : parts) {
    const auto r = part.value.to(at::kDouble).view({2, 2});
    const auto a = (r - r.mean(1, true)) / (r.std(1, false, true) + offset);
    sum = sum.defined() ? sum + part.weight * a : part.weight * a;
  }
  return ((sum - sum.mean()) / (sum.std(false) + offset)).flatten();
}

TEST(CombinedAdvantages, AreStandardisedOverTheEpochAsGdpoDoes) {
  const auto path = small_rollout(false);
  auto knobs = path_knobs();
  knobs.combine = Combine::normalised;
  const std::vector<RewardPart> parts = {
      {"a", 1, counted_normal(8, {4})},
      {"b", 0.3, rewards({5, 5, 1, 2})}};  // the first prompt's has no spread
  const auto got = rows_of(path, combined(parts), knobs);
  const auto expected = published_gdpo(parts, knobs.spread_offset);
  for (int64_t r = 0; r < 8; ++r) {
    EXPECT_NEAR(values(got)[r], expected[r / 2].item<double>(), 1e-6) << r;
  }
}

TEST(CombinedAdvantages, StandardisedDoNotSeeTheScaleOfTheWeights) {
  const auto branches = small_rollout(true);
  const auto a = counted_normal(9, {branches.images()});
  const auto b = counted_normal(10, {branches.images()});
  EstimatorKnobs knobs;
  knobs.combine = Combine::normalised;
  knobs.spread_offset = 0;
  const auto once =
      rows_of(branches, combined({{"a", 1, a}, {"b", 3, b}}), knobs);
  const auto eightfold =
      rows_of(branches, combined({{"a", 8, a}, {"b", 24, b}}), knobs);
  // A power of two scales without rounding.
  EXPECT_EQ(values(eightfold), values(once));
  EXPECT_NEAR(once.value.square().mean().item<double>(), 1, 1e-6);
}

TEST(CombinedAdvantages, LetNoRewardOutweighByItsUnit) {
  const auto branches = small_rollout(true);
  const auto a = counted_normal(6, {branches.images()});
  const auto b = counted_normal(7, {branches.images()});
  EstimatorKnobs knobs;
  knobs.combine = Combine::advantages;
  knobs.spread_offset = 0;
  const auto before =
      rows_of(branches, combined({{"a", 1, a}, {"b", 1, b}}), knobs);
  const auto after =
      rows_of(branches, combined({{"a", 1, a}, {"b", 1, 1024 * b}}), knobs);
  // A power of two scales without rounding.
  EXPECT_EQ(values(after), values(before));
}

TEST(CombinedAdvantages, ARowIsDeadWhereEveryPartsGroupIs) {
  const auto path = small_rollout(false);
  auto knobs = path_knobs();
  knobs.combine = Combine::advantages;
  const auto a = rows_of(path,
                         combined({{"a", 1, rewards({0, 2, 5, 5})},
                                   {"b", 1, rewards({1, 1, 4, 4})},
                                   {"c", 0, rewards({0, 1, 0, 1})}}),
                         knobs);
  EXPECT_EQ(a.dead, (std::vector<bool>{false, true}));
  EXPECT_EQ(a.dead_groups, 1);
  EXPECT_TRUE(alive(a)[0]);
  EXPECT_FALSE(alive(a)[7]);
  EXPECT_EQ(values(a)[7], 0);
}

TEST(CombinedAdvantages, NameThePartThatIsWrong) {
  const auto path = small_rollout(false);
  auto knobs = path_knobs();
  knobs.combine = Combine::advantages;
  const auto good = rewards({0, 2, 5, 5});
  const auto rows = [&](const std::vector<RewardPart>& parts) {
    auto of = scores(good);
    of.parts = parts;
    rows_of(path, of, knobs);
  };
  const auto expect_refused = [&](const std::vector<RewardPart>& parts,
                                  const std::string& reason) {
    expect_parts(error_of([&] { rows(parts); }), {reason});
  };
  auto bad = good.clone();
  bad[3] = std::numeric_limits<float>::infinity();
  expect_refused({{"a", 1, good}, {"ocr", 1, bad}}, "ocr, image 3 of");
  expect_refused({{"ocr", 1, rewards({1, 2})}}, "ocr");
  expect_refused({{"ocr", 1, good}, {"ocr", 1, good}}, "named ocr");
  expect_refused({{"a", 0, good}, {"b", 0, good}}, "weigh 0");
  EXPECT_NO_THROW(rows({{"a", 1, good}, {"b", 0, bad}}));
}

}  // namespace
}  // namespace rsm
