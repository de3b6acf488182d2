#include "rsm/rewards/weighted_reward.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <limits>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rewards/answers.h"
#include "rsm/rewards/jpeg_reward.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/** A reward that gives what a test says. */
class GivenReward : public Reward {
 public:
  using Give = std::function<RewardScores(const torch::Tensor&)>;
  GivenReward(std::string name, std::string main, Give give)
      : name_(std::move(name)), main_(std::move(main)), give_(give) {}
  std::string name() const override { return name_; }
  std::string main_metric() const override { return main_; }
  void check() const override { throw Error(name_ + " is not there"); }
  RewardScores score(const torch::Tensor& images,
                     const Prompts&) const override {
    return give_(images);
  }

 private:
  std::string name_;
  std::string main_;
  Give give_;
};

using Shared = std::shared_ptr<const Reward>;

/** Summed in double, so that float32 does not show in what order. */
torch::Tensor means(const torch::Tensor& images) {
  return images.to(torch::kFloat64).mean({1, 2, 3}).to(torch::kFloat32);
}

/** Mean brightness, and twice of it as "double". */
Shared brightness(const std::string& name = "bright") {
  return std::make_shared<GivenReward>(
      name, "double", [](const torch::Tensor& images) -> RewardScores {
        const auto mean = means(images);
        return {mean, {{"double", 2 * mean}}};
      });
}

Shared given(const std::string& name, const std::vector<float>& values) {
  return std::make_shared<GivenReward>(
      name, "reward", [values](const torch::Tensor&) -> RewardScores {
        return {torch::tensor(values), {}};
      });
}

std::vector<std::string> metric_names(const RewardScores& scores) {
  std::vector<std::string> names;
  for (const auto& [name, values] : scores.metrics) names.push_back(name);
  return names;
}

TEST(WeightedReward, AddsValuesTimesWeights) {
  const auto pictures = test_pictures(4, 5, 3);
  const auto sum = make_weighted_reward({{2, brightness()},
                                         {-0.5, given("b", {1, 2, 3, 4})},
                                         {0, given("c", {9, 9, 9, 9})}});
  const auto scores = sum->score(pictures.images, pictures.prompts);
  const auto mean = means(pictures.images);
  const auto expected =
      2 * mean.to(torch::kFloat64) -
      0.5 * torch::tensor({1.0, 2.0, 3.0, 4.0}, torch::kFloat64);
  EXPECT_TRUE(torch::equal(scores.value, expected.to(torch::kFloat32)));
  ASSERT_EQ(scores.parts.size(), 3u);
  EXPECT_EQ(scores.parts[0].name, "bright");
  EXPECT_EQ(scores.parts[1].weight, -0.5);
  EXPECT_TRUE(torch::equal(scores.parts[0].value, mean));
  EXPECT_EQ(scores.parts[2].value[3].item<float>(), 9);
  EXPECT_EQ(sum->name(), "2 * bright + -0.5 * b + 0 * c");
}

TEST(WeightedReward, SeveralPutTheirNamesBeforeTheirMetrics) {
  const auto pictures = test_pictures(2, 4, 4);
  const auto sum =
      make_weighted_reward({{1, brightness()}, {1, given("b", {1, 2})}});
  const auto scores = sum->score(pictures.images, pictures.prompts);
  EXPECT_EQ(metric_names(scores),
            (std::vector<std::string>{"b", "bright", "bright/double"}));
  EXPECT_TRUE(torch::equal(scores.metrics.at("bright"), scores.parts[0].value));
  EXPECT_TRUE(torch::equal(scores.metrics.at("bright/double"),
                           2 * scores.metrics.at("bright")));
}

TEST(WeightedReward, ResultsAreToldInTheFirstThatTrains) {
  const auto b = given("b", {1});
  EXPECT_EQ(make_weighted_reward({{1, brightness()}, {1, b}})->main_metric(),
            "bright/double");
  EXPECT_EQ(make_weighted_reward({{0, brightness()}, {1, b}})->main_metric(),
            "b");
  EXPECT_EQ(make_weighted_reward({{3, brightness()}})->main_metric(), "double");
  // Training lowers it: only the trained value is the higher the better.
  EXPECT_EQ(make_weighted_reward({{-1, brightness()}, {1, b}})->main_metric(),
            "reward");
  EXPECT_EQ(make_weighted_reward({{-1, brightness()}})->main_metric(),
            "reward");
}

TEST(WeightedReward, OneKeepsItsNameAndMetrics) {
  const auto pictures = test_pictures(3, 4, 4);
  const auto alone = brightness()->score(pictures.images, pictures.prompts);
  const auto one = make_weighted_reward({{1, brightness()}});
  const auto scores = one->score(pictures.images, pictures.prompts);
  EXPECT_EQ(one->name(), "bright");
  EXPECT_EQ(metric_names(scores), std::vector<std::string>{"double"});
  EXPECT_TRUE(torch::equal(scores.value, alone.value));
  ASSERT_EQ(scores.parts.size(), 1u);
  EXPECT_TRUE(torch::equal(scores.parts[0].value, alone.value));
}

TEST(WeightedReward, DoesNotDependOnTheBatch) {
  expect_each_picture_alone(
      *make_weighted_reward({{0.3, brightness()},
                             {0.7, Shared(make_jpeg_compressibility())},
                             {0, Shared(make_jpeg_incompressibility())}}),
      test_pictures(12, 9, 16));
}

TEST(WeightedReward, AsksEachOneWhetherItIsThere) {
  const auto sum = make_weighted_reward(
      {{1, Shared(make_jpeg_compressibility())}, {0, brightness("absent")}});
  expect_parts(error_of([&] { sum->check(); }), {"absent is not there"});
  make_weighted_reward({{1, Shared(make_jpeg_compressibility())}})->check();
}

TEST(WeightedReward, IsRemoteWhereOneIs) {
  const Shared local(make_jpeg_compressibility());
  const Shared outside(make_reward("exec:no-such-program", kNeverStops));
  EXPECT_FALSE(make_weighted_reward({{1, local}})->is_remote());
  EXPECT_TRUE(make_weighted_reward({{1, local}, {0, outside}})->is_remote());
  EXPECT_TRUE(
      make_reward("http://127.0.0.1:1/score", kNeverStops)->is_remote());
}

Shared builtin(const std::string& name) {
  return make_reward(name, kNeverStops);
}

TEST(WeightedReward, GradientsAddUpAsValuesDo) {
  const auto pictures = test_pictures(4, 5, 3);
  const auto leaf = pictures.images.clone().requires_grad_(true);
  const auto gradient = [&](const Reward& reward) {
    const auto value = reward.value_of(leaf, pictures.prompts);
    EXPECT_TRUE(torch::equal(value, score(reward, pictures).value));
    return torch::autograd::grad({value.sum()}, {leaf})[0];
  };
  const auto red = builtin("target-colour");
  const auto colour = builtin("colourfulness");
  const auto sum = make_weighted_reward({{2, colour}, {-0.5, red}});
  ASSERT_TRUE(sum->is_differentiable());
  // Three roundings to float32.
  EXPECT_TRUE(torch::allclose(gradient(*sum),
                              2 * gradient(*colour) - 0.5 * gradient(*red),
                              1e-6, 1e-8));
  EXPECT_TRUE(torch::equal(gradient(*make_weighted_reward({{1, red}})),
                           gradient(*red)));
}

TEST(WeightedReward, HasAGradientWhereAllThatTrainsHas) {
  const auto pictures = test_pictures(2, 4, 4);
  const auto colour = builtin("colourfulness");
  const auto value = [&](std::vector<WeightedReward> rewards) {
    return make_weighted_reward(std::move(rewards))
        ->value_of(pictures.images, pictures.prompts);
  };
  // A weight of 0 is not asked: it would throw.
  EXPECT_TRUE(torch::equal(value({{1, colour}, {0, brightness()}}),
                           value({{1, colour}})));
  EXPECT_TRUE(make_weighted_reward({{1, colour}, {0, brightness()}})
                  ->is_differentiable());
  for (const auto& [rewards, parts] : std::vector<
           std::pair<std::vector<WeightedReward>, std::vector<std::string>>>{
           {{{1, colour}, {0.1, brightness("b")}, {0, brightness("c")}},
            {"[reward colourfulness + 0.1 * b + 0 * c]", ": b is a black box",
             "weight 0"}},
           {{{1, brightness("b")}, {1, colour}, {1, brightness("c")}},
            {"b and c are black boxes"}},
           {{{1, brightness("b")}}, {"[reward b]", "it is a black box"}}}) {
    EXPECT_FALSE(make_weighted_reward(rewards)->is_differentiable());
    EXPECT_THROW(value(rewards), UsageError);
    const auto text = error_of([&, &r = rewards] { value(r); });
    expect_parts(text, parts);
    expect_parts(text, {"has no gradient", "`rsm methods`", "zeroth order"});
  }
}

TEST(WeightedReward, ScoresThatAreNotFiniteAreNamed) {
  const auto pictures = test_pictures(3, 4, 4);
  const auto error_for = [&](std::vector<WeightedReward> rewards) {
    const auto sum = make_weighted_reward(std::move(rewards));
    return error_of([&] { sum->score(pictures.images, pictures.prompts); });
  };
  for (const double weight : {1.0, 0.0}) {
    expect_parts(
        error_for({{1, brightness()}, {weight, given("b", {1, kNan, kNan})}}),
        {"[reward b]", "2 of 3", "image 1", pictures.prompts[1].text, "nan",
         "mend the reward and run the same command again"});
  }
  expect_parts(error_for({{1, given("b", {kInfinity, 1, 2})}}),
               {"[reward b]", "image 0", "inf"});
  // Each is finite, the sum is not.
  expect_parts(error_for({{1, given("a", {1, 3e38f, 2})},
                          {1, given("b", {1, 3e38f, 2})}}),
               {"[reward a + b]", "image 1", "inf"});
}

TEST(WeightedReward, WrongNumbersOfScoresAreNamed) {
  const auto pictures = test_pictures(3, 4, 4);
  const auto error_for = [&](const Shared& reward) {
    const auto sum = make_weighted_reward({{1, brightness()}, {1, reward}});
    return error_of([&] { sum->score(pictures.images, pictures.prompts); });
  };
  expect_parts(error_for(given("b", {1, 2})),
               {"[reward b]", "2 numbers", "3 images",
                cat("none from image 2 (\"", pictures.prompts[2].text, "\")")});
  expect_parts(error_for(given("b", {1, 2, 3, 4})),
               {"4 numbers", "3 images; one"});
  expect_parts(
      error_for(std::make_shared<GivenReward>(
          "b", "reward", [](const torch::Tensor&) { return RewardScores(); })),
      {"[reward b]", "0 numbers", "none from image 0"});
  expect_parts(error_for(std::make_shared<GivenReward>(
                   "b", "reward",
                   [](const torch::Tensor&) -> RewardScores {
                     return {torch::ones(3), {{"m", torch::ones(2)}}};
                   })),
               {"[reward b]", "2 numbers", "\"m\""});
}

RewardScores with_part(const std::vector<float>& values, double weight) {
  RewardScores scores;
  scores.value = torch::tensor(values);
  scores.parts = {{"b", weight, scores.value}};
  return scores;
}

TEST(Suspicious, NamesWhatAPersonShouldLookAt) {
  EXPECT_TRUE(suspicious(with_part({1, 2, 1}, 1)).empty());
  EXPECT_TRUE(suspicious(with_part({1e6f, -1e6f}, 1)).empty());
  EXPECT_TRUE(suspicious(with_part({3}, 1)).empty());
  EXPECT_TRUE(suspicious(with_part({}, 1)).empty());
  const auto same = suspicious(with_part({0.5f, 0.5f}, 1));
  ASSERT_EQ(same.size(), 1u);
  expect_parts(same[0], {"b ", "all 2", "0.5"});
  const auto large = suspicious(with_part({1, -2e6f}, 1));
  ASSERT_EQ(large.size(), 1u);
  expect_parts(large[0], {"b ", "2e+06"});
  EXPECT_EQ(suspicious(with_part({3e7f, 3e7f}, 1)).size(), 2u);
  // What trains nothing may be constant: it may be a rare alarm.
  EXPECT_TRUE(suspicious(with_part({3e7f, 3e7f}, 0)).empty());
}

TEST(Suspicious, TellsWhatWasMendedAndHowOften) {
  const Shared fainting = std::make_shared<GivenReward>(
      "b", "reward", [](const torch::Tensor&) -> RewardScores {
        RewardScores scores{torch::tensor({1.f, 2.f}), {}};
        scores.mended = {{"b fainted", 1}, {"b slept", 2}};
        return scores;
      });
  const auto pictures = test_pictures(2, 4, 4);
  const auto sum =
      make_weighted_reward({{1, given("a", {3, 4})}, {0, fainting}});
  const auto part = sum->score(pictures.images, pictures.prompts);
  EXPECT_EQ(suspicious(part),
            (std::vector<std::string>{"b fainted, once", "b slept, 2 times"}));
  // Parts of an epoch are told as one.
  EXPECT_EQ(
      mended_in(join_scores("sum", {part, part})),
      (std::vector<std::string>{"b fainted, 2 times", "b slept, 4 times"}));
}

TEST(Suspicious, LooksAtScoresWithoutParts) {
  const auto found = suspicious({torch::ones(2), {}});
  ASSERT_EQ(found.size(), 1u);
  expect_parts(found[0], {"the reward "});
}

}  // namespace
}  // namespace rsm
