#include "rsm/rewards/win_rate_reward.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"
#include "rsm/rewards/weighted_reward.h"

namespace rsm {
namespace {

using Labels = std::vector<int64_t>;

/** Values of 40 pictures in groups of many sizes, one of one, with many ties.
 */
torch::Tensor tied_values() {
  return (counted_normal(5, {40}) * 2).round().to(at::kFloat);
}
Labels many_groups() {
  Labels group;
  for (const int64_t size : {1, 2, 3, 5, 12, 17}) {
    group.insert(group.end(), size, 100 - size);
  }
  return group;
}

Labels permuted(const Labels& labels, const Labels& order) {
  Labels out;
  for (const int64_t i : order) out.push_back(labels[i]);
  return out;
}

TEST(WinRates, AreTheShareOfSiblingsBeaten) {
  const auto rates =
      win_rates(torch::tensor({3.f, 1.f, 2.f, 2.f, 7.f}), {0, 0, 0, 0, 5});
  EXPECT_TRUE(rates.equal(torch::tensor({1.f, 0.f, 0.5f, 0.5f, 0.5f})));
  EXPECT_EQ(win_rates(torch::empty({0}), {}).numel(), 0);
  EXPECT_THROW(win_rates(torch::ones({3}), {0, 0}), Error);
}

TEST(WinRates, AreThoseOfAllPairs) {
  const auto value = tied_values();
  const auto group = many_groups();
  const auto rates = win_rates(value, group);
  for (size_t i = 0; i < group.size(); ++i) {
    double won = 0, pairs = 0;
    for (size_t j = 0; j < group.size(); ++j) {
      if (i == j || group[i] != group[j]) continue;
      const float mine = value[i].item<float>(), other = value[j].item<float>();
      won += mine > other ? 1 : mine == other ? 0.5 : 0;
      ++pairs;
    }
    EXPECT_EQ(rates[i].item<float>(),
              pairs == 0 ? 0.5f : static_cast<float>(won / pairs));
  }
}

TEST(WinRates, AverageToAHalfInEveryGroup) {
  const auto group = many_groups();
  const auto rates = win_rates(tied_values(), group);
  for (const int64_t label : {99, 98, 97, 95, 88, 83}) {
    double sum = 0, count = 0;
    for (size_t i = 0; i < group.size(); ++i) {
      if (group[i] != label) continue;
      sum += rates[i].item<double>();
      ++count;
    }
    EXPECT_EQ(count, 100 - label);
    EXPECT_NEAR(sum / count, 0.5, 1e-6);  // float32
  }
}

TEST(WinRates, MoveWithTheirPictures) {
  const auto value = tied_values();
  const auto group = many_groups();
  const auto order = counted_permutation(8, std::ssize(group));
  const auto index = torch::tensor(order, at::kLong);
  EXPECT_TRUE(win_rates(value.index_select(0, index), permuted(group, order))
                  .equal(win_rates(value, group).index_select(0, index)));
}

TEST(WinRates, DependOnTheOrderOfValuesAlone) {
  const auto value = tied_values();
  const auto group = many_groups();
  EXPECT_TRUE(win_rates(value * value * value - 3, group)
                  .equal(win_rates(value, group)));
  EXPECT_TRUE(
      win_rates(-value, group).allclose(1 - win_rates(value, group), 0, 1e-6));
}

std::unique_ptr<Reward> made(const std::string& name) {
  return make_reward(name, kNeverStops);
}

TEST(WinRateReward, TrainsOnTheOrderOfSiblings) {
  const auto reward = made("win-rate:colourfulness");
  const auto of = made("colourfulness");
  EXPECT_EQ(reward->name(), "win-rate:colourfulness");
  EXPECT_TRUE(reward->sees_groups());
  EXPECT_FALSE(of->sees_groups());
  EXPECT_FALSE(reward->is_differentiable());
  EXPECT_EQ(reward->main_metric(), "colourfulness");
  EXPECT_EQ(made("win-rate:shapes")->main_metric(), "strict");
  EXPECT_EQ(made("win-rate:shapes")->watched_metrics(),
            std::vector<std::string>{"texture"});
  const auto pictures = test_pictures(6, 5, 4);
  const Labels group = {4, 4, 4, 1, 1, 1};
  const auto alone = score(*of, pictures);
  const auto together =
      reward->score_groups(pictures.images, pictures.prompts, group);
  EXPECT_TRUE(together.value.equal(win_rates(alone.value, group)));
  EXPECT_TRUE(together.metrics.at("colourfulness").equal(alone.value));
  EXPECT_TRUE(together.metrics.at("spread").equal(alone.metrics.at("spread")));
  // Of pictures alone, as in evaluations, it is the reward itself.
  EXPECT_TRUE(score(*reward, pictures).value.equal(alone.value));
  EXPECT_TRUE(
      score(*reward, pictures).metrics.at("colourfulness").equal(alone.value));
  expect_each_picture_alone(*reward, pictures);
}

TEST(WinRateReward, OthersGiveGroupsTheirScores) {
  const auto reward = made("colourfulness");
  const auto pictures = test_pictures(4, 5, 4);
  EXPECT_TRUE(
      reward->score_groups(pictures.images, pictures.prompts, {0, 0, 1, 1})
          .value.equal(score(*reward, pictures).value));
}

TEST(WinRateReward, StandsInAWeightedSum) {
  RewardSpec rate, size;
  rate.name = "win-rate:colourfulness";
  rate.weight = 2;
  size.name = "jpeg-compressibility";
  size.weight = 0.5;
  const auto sum = make_rewards({rate, size}, kNeverStops);
  EXPECT_TRUE(sum->sees_groups());
  EXPECT_EQ(sum->main_metric(), "win-rate:colourfulness/colourfulness");
  EXPECT_FALSE(make_rewards({size}, kNeverStops)->sees_groups());
  const auto pictures = test_pictures(5, 6, 4);
  const Labels group = {0, 0, 0, 1, 1};
  const auto scores =
      sum->score_groups(pictures.images, pictures.prompts, group);
  const auto rates =
      win_rates(score(*made("colourfulness"), pictures).value, group);
  const auto sizes = score(*made("jpeg-compressibility"), pictures).value;
  EXPECT_TRUE(scores.parts.at(0).value.equal(rates));
  EXPECT_TRUE(scores.parts.at(1).value.equal(sizes));
  EXPECT_TRUE(scores.value.allclose(2 * rates + 0.5 * sizes));
}

TEST(WinRateReward, GroupsThatStandApartAreRefused) {
  const auto reward = made("win-rate:colourfulness");
  const auto pictures = test_pictures(3, 4, 4);
  const auto error = [&](const Labels& group) {
    return error_of([&] {
      reward->score_groups(pictures.images, pictures.prompts, group);
    });
  };
  expect_parts(error({0, 1, 0}), {"[reward win-rate:colourfulness]", "image 2",
                                  "group 0", "one after the other"});
  expect_parts(error({0, 1}), {"2 labels", "3 images"});
}

/** Its value is not finite for the second picture. */
class Broken : public Reward {
 public:
  std::string name() const override { return "broken"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts&) const override {
    RewardScores out;
    out.value = torch::ones({images.size(0)});
    out.value[1] = NAN;
    return out;
  }
};

TEST(WinRateReward, ValuesThatAreNotFiniteAreNamed) {
  const auto reward = make_win_rate_reward(std::make_unique<Broken>());
  const auto pictures = test_pictures(3, 4, 4);
  expect_parts(
      error_of([&] {
        reward->score_groups(pictures.images, pictures.prompts, {0, 0, 0});
      }),
      {"[reward win-rate:broken]", "image 1", pictures.prompts[1].text, "nan",
       "mend the reward"});
}

TEST(WinRateReward, IsMadeOfARewardOfPicturesAlone) {
  for (const std::string wrong :
       {"win-rate:win-rate:colourfulness", "win-rate:", "win-rate",
        "win-rate:shape", "win-rate:exec:"}) {
    EXPECT_THROW(made(wrong), UsageError) << wrong;
  }
  expect_parts(error_of([] { made("win-rate:win-rate:shapes"); }),
               {"sees groups itself", "without win-rate:"});
  expect_parts(error_of([] { made("win-rate:shape"); }),
               {"\"shape\"", "did you mean \"shapes\"", "win-rate:REWARD"});
  RewardSpec spec;
  spec.name = "win-rate:exec:judge";
  spec.requests = 2;
  expect_parts(error_of([&] { make_reward(spec, kNeverStops); }),
               {"requests is 2", "one request after the other"});
  spec.requests = 1;
  EXPECT_TRUE(make_reward(spec, kNeverStops)->is_remote());
  spec.groups = true;
  expect_parts(error_of([&] { make_reward(spec, kNeverStops); }),
               {"\"exec:judge\"", "without groups: true"});
  spec.name = "shapes";
  expect_parts(error_of([&] { make_reward(spec, kNeverStops); }),
               {"[reward shapes]", "groups is true",
                "exec: and http:", "win-rate:shapes"});
  EXPECT_EQ(judge_of("win-rate:exec:judge"), "exec:judge");
  EXPECT_EQ(judge_of("shapes"), "shapes");
}

}  // namespace
}  // namespace rsm
