#include "rsm/estimators/gate.h"

#include <gtest/gtest.h>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/estimators/testing.h"
#include "rsm/estimators/zeroth_order.h"
#include "rsm/io/testing.h"
#include "rsm/objective/rows.h"

namespace rsm {
namespace {

/** What is trained, and rewards of weight 0 beside it. */
RewardScores scores_beside(const std::vector<float>& trained,
                           const std::vector<std::vector<float>>& others) {
  auto out = scores(trained);
  out.parts.push_back({"trained", 1, out.value});
  for (const auto& other : others) {
    out.parts.push_back(
        {"other " + std::to_string(out.parts.size()), 0, rewards(other)});
  }
  return out;
}

/** Paths of two rows of 2 prompts x 2 roots: four pictures. */
Rollout paths() {
  auto rollout = small_rollout(/*branches=*/false);
  rollout.latents = torch::zeros({rollout.images(), 1, 1, 1});
  return rollout;
}

/** By (images, held) of an epoch. */
Guidance held_by(Gate& gate, const RewardScores& scores) {
  Guidance out;
  gate.hold(paths(), scores, out);
  return out;
}

TEST(Suspicion, IsHowMuchBetterAPictureRanksThanByTheOthers) {
  const auto one =
      doubles_of(suspicion(scores_beside({1, 2, 3, 4}, {{8, 6, 4, 2}})));
  EXPECT_EQ(one, (std::vector<double>{-1, -1.0 / 3, 1.0 / 3, 1}));
  // Ranks alone count, and the mean of the others': 1, 1/2 and 1, 1/2.
  const auto two = doubles_of(
      suspicion(scores_beside({-7, 0.1f, 100}, {{1, 2, 3}, {3, 2, 1}})));
  EXPECT_EQ(two, (std::vector<double>{-0.5, 0, 0.5}));
}

TEST(Suspicion, OfEqualsIsShared) {
  const auto of = doubles_of(suspicion(scores_beside({1, 1, 2}, {{5, 5, 5}})));
  EXPECT_EQ(of, (std::vector<double>{-0.25, -0.25, 0.5}));
  const auto same = doubles_of(
      suspicion(scores_beside({0.1f, 0.7f, 0.7f}, {{1, 3, 3}, {2, 9, 9}})));
  EXPECT_EQ(same, (std::vector<double>{0, 0, 0}));
}

TEST(Suspicion, NeedsARewardThatTrainsNothing) {
  expect_parts(error_of([] {
                 suspicion(scores_beside({1, 2}, {}));
               }),
               {"[gate]", "weight: 0"});
}

TEST(Gate, HoldsTheMostSuspiciousAsMuchAsAllWouldBe) {
  Gate gate({.share = 0.2});
  const auto guidance =
      held_by(gate, scores_beside({1, 2, 3, 4}, {{8, 6, 4, 2}}));
  // Of 1/3 and 1 the upper fifth is above 1 - 0.2 * 2/3.
  EXPECT_EQ(doubles_of(guidance.advantages.pull),
            (std::vector<double>{0, 0, 0, 0, 0, 0, 4, 4}));
  EXPECT_EQ(guidance.numbers.at("gate_held"), 0.25);
  EXPECT_EQ(guidance.numbers.at("gate_share"), 0.2);
  EXPECT_DOUBLE_EQ(guidance.numbers.at("suspicion"), 2.0 / 3);
}

TEST(Gate, HoldsNobodyWhereAllAgree) {
  Gate gate({.share = 0.2});
  const auto guidance =
      held_by(gate, scores_beside({1, 2, 3, 4}, {{2, 4, 6, 8}}));
  EXPECT_EQ(guidance.advantages.pull.abs().max().item<double>(), 0);
  EXPECT_EQ(guidance.numbers.at("gate_held"), 0);
}

/** The weights of the pull add up to what they do without a gate, which is what
 * the published mean over those that are held says. */
TEST(Gate, LeavesTheWeightOfThePullAsItIs) {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::rollout;
  method.estimator.grouping = EstimatorKnobs::Grouping::prompt;
  method.regularisation.beta = 0.5;
  method.regularisation.kl_form = RegularisationKnobs::KlForm::output;
  Sampled sampled;
  sampled.rollout = paths();
  sampled.scores = scores_beside({1, 2, 3, 4}, {{2, 1, 3, 4}});
  const auto weights = [&] {
    const auto guided = ZerothOrder(method, 1).guide(sampled, 0);
    return update_weights(method, sampled.rollout, guided.advantages,
                          guided.trained)
        .k_ref;
  };
  EXPECT_EQ(weights(), std::vector<double>(8, 0.5 / 8));
  method.regularisation.gate.share = 0.1;
  // The second picture alone ranks higher than by the other.
  const double all = 0.5 / 2;
  EXPECT_EQ(weights(), (std::vector<double>{0, 0, all, all, 0, 0, 0, 0}));
}

TEST(Gate, MovesItsShareByHowSuspiciousEpochsAre) {
  const auto some = scores_beside({1, 2, 3, 4}, {{2, 1, 3, 4}});
  const auto more = scores_beside({1, 2, 3, 4}, {{8, 6, 4, 2}});
  const auto none = scores_beside({1, 2, 3, 4}, {{1, 2, 3, 4}});
  Gate gate({.share = 0.1, .least = 0.08, .most = 0.12, .memory = 2});
  const auto share_after = [&](const RewardScores& scores) {
    return held_by(gate, scores).numbers.at("gate_share");
  };
  EXPECT_EQ(share_after(some), 0.1);          // nothing to compare with
  EXPECT_DOUBLE_EQ(share_after(more), 0.11);  // above all before
  EXPECT_DOUBLE_EQ(share_after(some), 0.11);  // one of them
  EXPECT_DOUBLE_EQ(share_after(none), 0.11 * 0.9);
  // The first two are forgotten: more is above some and none again.
  EXPECT_DOUBLE_EQ(share_after(more), 0.11 * 0.9 * 1.1);
  EXPECT_EQ(share_after(none), share_after(none));
  EXPECT_DOUBLE_EQ(share_after(more), 0.11 * 0.9 * 1.1 * 1.1);
  const auto most = scores_beside({1, 2, 3, 4}, {{2, 3, 4, 1}});
  EXPECT_EQ(share_after(most), 0.12);
}

TEST(Gate, GoesOnAsItWasSaved) {
  const auto some = scores_beside({1, 2, 3, 4}, {{2, 1, 3, 4}});
  const auto more = scores_beside({1, 2, 3, 4}, {{8, 6, 4, 2}});
  const GateKnobs knobs = {.share = 0.1};
  Gate gate(knobs), again(knobs);
  held_by(gate, some);
  held_by(gate, more);
  again.load_state(gate.state());
  EXPECT_TRUE(again.state().equal(gate.state()));
  EXPECT_EQ(held_by(again, more).numbers, held_by(gate, more).numbers);
  EXPECT_THROW(again.load_state(torch::zeros({2})), Error);  // float32
}

TEST(Gate, IsPartOfItsEstimatorsState) {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::rollout;
  method.estimator.grouping = EstimatorKnobs::Grouping::prompt;
  EXPECT_TRUE(ZerothOrder(method, 1).state().empty());
  method.regularisation.beta = 1;
  method.regularisation.gate.share = 0.1;
  Sampled sampled;
  sampled.rollout = paths();
  sampled.scores = scores_beside({1, 2, 3, 4}, {{8, 6, 4, 2}});
  ZerothOrder one(method, 1), other(method, 1);
  one.guide(sampled, 0);
  other.load_state(one.state());
  EXPECT_TRUE(other.state().at("gate").equal(one.state().at("gate")));
  EXPECT_THROW(other.load_state({}), Error);
}

}  // namespace
}  // namespace rsm
