#include "rsm/train/evaluation.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/path.h"

namespace rsm {
namespace {

Prompts three_categories() {
  Prompts prompts;
  for (int64_t i = 0; i < 12; ++i) {
    prompts.push_back(
        {i, std::to_string(i), i == 0 ? "one" : (i < 4 ? "three" : "many")});
  }
  return prompts;
}

/** y = pooled, so that outputs differ between prompts by a known amount. */
class ConstantFlow : public Denoiser {
 public:
  explicit ConstantFlow(double shift) : shift_(shift) {}
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor&,
                        const Condition& condition) override {
    return condition.pooled.view({-1, 1, 1, 1}).expand(x.sizes()) + shift_;
  }

 private:
  double shift_;
};

/** Mean brightness; also as metric "bright". */
class Brightness : public Reward {
 public:
  std::string name() const override { return "brightness"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts&) const override {
    const auto mean = images.mean({1, 2, 3});
    return {mean, {{"bright", mean * 2}}};
  }
};

std::vector<std::shared_ptr<const Path>> paths() {
  return {Path::from_json(FlowMatchSchedule{}.to_json()),
          Path::from_json(DdimSchedule{}.to_json())};
}

EvaluationSet small_set() {
  auto set = make_evaluation_set(three_categories(), 30, 5);
  set.latent_shape = {3, 2, 2};
  set.conditions = {at::zeros({30, 1, 1}), at::zeros({30, 1})};
  return set;
}

TEST(PictureDiversity, IsTheMeanDistanceOfAPromptsPictures) {
  const Prompts prompts = {{1, "a", "x"}, {2, "b", "x"}, {1, "a", "x"},
                           {3, "c", "y"}, {2, "b", "x"}, {1, "a", "x"}};
  // Constant pictures: distances are differences of their values.
  const auto value = torch::tensor({0.1, 0.5, 0.2, 0.9, 0.8, 0.5});
  const auto images = value.view({-1, 1, 1, 1}).expand({6, 3, 4, 4});
  const double first = (0.1 + 0.4 + 0.3) / 3, second = 0.3;
  EXPECT_NEAR(*picture_diversity(images, prompts), (first + second) / 2, 1e-7);
  const auto order = torch::tensor({4, 0, 5, 3, 1, 2}, at::kLong);
  Prompts moved;
  for (const int i : {4, 0, 5, 3, 1, 2}) moved.push_back(prompts[i]);
  EXPECT_NEAR(*picture_diversity(images.index_select(0, order), moved),
              (first + second) / 2, 1e-7);
  EXPECT_EQ(*picture_diversity(at::ones({6, 3, 4, 4}), prompts), 0);
  EXPECT_FALSE(
      picture_diversity(images.slice(0, 0, 2), {{1, "a", "x"}, {2, "b", "x"}}));
}

TEST(EvaluationSet, GivesCategoriesEquallyManyPictures) {
  const auto set = make_evaluation_set(three_categories(), 31, 5);
  std::map<std::string, int64_t> count;
  for (const auto& prompt : set.prompts) {
    ++count[prompt.category];
  }
  EXPECT_EQ(count["one"], 11);
  EXPECT_EQ(count["three"], 10);
  EXPECT_EQ(count["many"], 10);
  EXPECT_THROW(make_evaluation_set({}, 3, 5), Error);
}

TEST(EvaluationSet, APicturesNoiseDoesNotDependOnHowMany) {
  auto few = make_evaluation_set(three_categories(), 6, 5);
  auto many = make_evaluation_set(three_categories(), 60, 5);
  few.latent_shape = many.latent_shape = {3, 2, 2};
  EXPECT_TRUE(at::equal(few.noise(0, 2), many.noise(0, 2)));
  EXPECT_FALSE(at::equal(many.noise(0, 1), many.noise(1, 1)));
}

TEST(Evaluate, ReportsMeansByCategoryAndWhole) {
  ConstantFlow flow(0);
  const auto set = small_set();
  const auto path = paths()[0];
  const auto result = evaluate(flow, *path, path->times(4), set, Brightness());
  EXPECT_EQ(result.images.size(0), 30);
  EXPECT_FALSE(result.kl);
  EXPECT_NEAR(result.means.at("reward"),
              result.scores.value.mean().item<double>(), 1e-6);
  EXPECT_NEAR(result.means.at("bright"), 2 * result.means.at("reward"), 1e-6);
  double sum = 0;
  for (const auto& [category, means] : result.by_category) {
    EXPECT_EQ(means.at("images"), 10);
    sum += means.at("reward") / 3;
  }
  EXPECT_NEAR(sum, result.means.at("reward"), 1e-6);
}

TEST(Drift, IsTheExactKlOfTheStochasticSteps) {
  ConstantFlow moved(0.25), reference(0);
  for (const auto& path : paths()) {
    const bool flow = path->family() == Path::Family::flow;
    const auto times = path->times(4);
    const double measured = drift(moved, reference, *path, times, small_set());
    double expected = 0;
    for (int64_t i = 0; i < 3; ++i) {
      const StepNoise noise = {.level = flow ? 0.7 : 1.0};
      const double w = path->noisy_step(times, i, noise).w();
      expected += 0.5 * w * w * 0.25 * 0.25 / 3;
    }
    EXPECT_NEAR(measured, expected, 1e-6 * expected);
    EXPECT_EQ(drift(moved, moved, *path, times, small_set()), 0);
    const StepNoise noise = {.level = flow ? 0.7 : 1.0};
    const double w = path->noisy_step(times, 0, noise).w();
    EXPECT_NEAR(drift(moved, reference, *path, times, small_set(), 1),
                0.5 * w * w * 0.25 * 0.25, 1e-6 * w * w);
  }
}

}  // namespace
}  // namespace rsm
