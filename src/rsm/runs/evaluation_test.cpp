#include "rsm/runs/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/data/certainty.h"
#include "rsm/models/image_model.h"
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
                        const ConditionRows& conditions) override {
    return conditions.gathered(at::arange(x.size(0)))
               .pooled.view({-1, 1, 1, 1})
               .expand(x.sizes()) +
           shift_;
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

/** All prompts are alike. */
class NoText : public Conditioner {
 public:
  Condition encode(const std::vector<std::string>& texts) const override {
    const auto count = std::ssize(texts);
    return {at::zeros({count, 1, 1}), at::zeros({count, 1})};
  }
};

/** What ConstantFlow's pictures are drawn with. */
struct Setting {
  explicit Setting(const Path& path) : times(path.times(4)), path(path) {}
  Drawing drawing() const { return {text, path, *pixel_decoder(), times}; }

  NoText text;
  std::vector<double> times;
  const Path& path;
};

EvaluationSet small_set() {
  auto set = make_evaluation_set(three_categories(), 30, 5);
  set.latent_shape = {3, 2, 2};
  return set;
}

/** By its brightness, of a flow that stays at its condition. */
Evaluation evaluated(const EvaluationSet& set) {
  ConstantFlow flow(0);
  const auto path = paths()[0];
  return evaluate(flow, Setting(*path).drawing(), set, Brightness());
}

TEST(PictureDiversity, IsTheMeanDistanceOfAPromptsPictures) {
  const Prompts prompts = {{1, "a", "x"}, {2, "b", "x"}, {1, "a", "x"},
                           {3, "c", "y"}, {2, "b", "x"}, {1, "a", "x"}};
  // Constant pictures: distances are differences of their values.
  const auto value = torch::tensor({0.1, 0.5, 0.2, 0.9, 0.8, 0.5});
  const auto images = value.view({-1, 1, 1, 1}).expand({6, 3, 4, 4});
  const auto diversity = picture_diversity(images, prompts);
  EXPECT_NEAR(diversity[0], (0.1 + 0.4 + 0.3) / 3, 1e-7);
  EXPECT_NEAR(diversity[1], 0.3, 1e-7);
  for (const size_t i : {2, 3, 4, 5}) EXPECT_TRUE(std::isnan(diversity[i]));
  EXPECT_EQ(picture_diversity(at::ones({6, 3, 4, 4}), prompts)[1], 0);
}

TEST(PictureDiversity, OfIndependentNormalPixelsIsKnown) {
  constexpr double kDeviation = 0.3, kCorrelation = 0.36;
  const auto own = counted_normal(1, {3, 3, 64, 64}).to(at::kFloat);
  const auto common = counted_normal(2, {1, 3, 64, 64}).to(at::kFloat);
  // Each pixel of two pictures differs by N(0, 2 (1 - correlation) s^2).
  const auto images = kDeviation * (std::sqrt(kCorrelation) * common +
                                    std::sqrt(1 - kCorrelation) * own);
  const double known = kDeviation * std::sqrt(2 * (1 - kCorrelation));
  const auto diversity =
      picture_diversity(images, {{1, "a", "x"}, {1, "a", "x"}, {1, "a", "x"}});
  EXPECT_NEAR(diversity[0], known, 0.02 * known);
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
  EXPECT_TRUE(at::equal(few.noise({0, 1}), many.noise({0, 1})));
  EXPECT_FALSE(at::equal(many.noise({0}), many.noise({1})));
}

TEST(Evaluate, ReportsMeansByCategoryAndWhole) {
  const auto set = small_set();
  const auto result = evaluated(set);
  EXPECT_EQ(result.thumbnails.size(0), std::ssize(set.shown));
  EXPECT_FALSE(result.kl);
  const auto& values = result.pictures.metrics.at("reward");
  EXPECT_EQ(result.all.images, 30);
  EXPECT_NEAR(result.all.means.at("reward"), mean_of(values), 1e-12);
  EXPECT_NEAR(result.all.means.at("bright"), 2 * result.all.means.at("reward"),
              1e-6);
  double sum = 0;
  for (const auto& [category, scores] : result.by_category) {
    EXPECT_EQ(scores.images, 10);
    sum += scores.means.at("reward") / 3;
  }
  EXPECT_NEAR(sum, result.all.means.at("reward"), 1e-6);
  EXPECT_EQ(to_json(result)["by_category"]["one"]["images"], 10);
}

TEST(Evaluate, ErrorsTakePicturesOfAPromptTogether) {
  const auto set = small_set();
  const auto result = evaluated(set);
  const auto& values = result.pictures.metrics.at("reward");
  std::vector<int64_t> ids;
  std::vector<std::string> categories;
  for (const auto& prompt : set.prompts) {
    ids.push_back(prompt.id);
    categories.push_back(prompt.category);
  }
  const auto& error = result.all.errors.at("reward");
  const auto expected = error_of_mean(values, ids, categories);
  EXPECT_EQ(error.standard, expected.standard);
  EXPECT_EQ(error.freedom, expected.freedom);
  EXPECT_GT(result.all.errors.at("diversity").standard, 0);
  EXPECT_NE(result.by_category.at("three").errors.at("reward").standard,
            error.standard);
  const auto json = to_json(result);
  EXPECT_EQ(json["errors"]["reward"], error.standard);
  EXPECT_EQ(json["freedom"]["reward"], error.freedom);
  EXPECT_EQ(json["by_category"]["three"]["freedom"].size(), 3u);
  EXPECT_TRUE(result.all.change_errors.empty());
  EXPECT_FALSE(to_json(result).contains("change_errors"));
}

TEST(Evaluate, AChangeHasThePairedErrorOfEveryMetric) {
  const auto set = small_set();
  const auto of = [&](double scale) {
    auto result = evaluated(set);
    for (auto& [name, values] : result.pictures.metrics) {
      for (double& value : values) value *= scale;
    }
    return result;
  };
  const auto before = of(1);
  auto same = of(1), grown = of(1.5);
  pair_with(before.pictures, same);
  pair_with(before.pictures, grown);
  for (const auto* metric : {"reward", "bright", "diversity"}) {
    EXPECT_EQ(same.all.change_errors.at(metric).standard, 0) << metric;
    EXPECT_NEAR(grown.all.change_errors.at(metric).standard,
                before.all.errors.at(metric).standard / 2, 1e-9)
        << metric;
  }
  EXPECT_NEAR(grown.by_category.at("many").change_errors.at("reward").standard,
              before.by_category.at("many").errors.at("reward").standard / 2,
              1e-9);
  EXPECT_EQ(to_json(grown)["change_errors"].size(), 3u);
  EXPECT_EQ(to_json(grown)["change_freedom"].size(), 3u);
  EXPECT_EQ(to_json(grown)["by_category"]["many"]["change_errors"].size(), 3u);
  auto other = before.pictures;
  other.seed = 6;
  EXPECT_THROW(pair_with(other, same), Error);
}

/** One picture fills what may be held at once, and is shown small. */
class LargePictures : public Decoder {
 public:
  torch::Tensor decode(const torch::Tensor& latents) const override {
    most = std::max(most, latents.size(0));
    return pictures(latents).clamp(0, 1);
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return pixel_decoder()->pictures(latents).repeat({1, 1, 256, 128});
  }
  int64_t scale() const override { return 1 << 14; }

  mutable int64_t most = 0;
};

TEST(Evaluate, DoesNotDependOnHowManyPicturesAreHeldAtOnce) {
  ConstantFlow flow(0.1);
  const auto set = small_set();
  const auto path = paths()[0];
  const Setting setting(*path);
  const auto all = evaluate(flow, setting.drawing(), set, Brightness());
  const LargePictures large;
  const Drawing drawing = {setting.text, *path, large, setting.times};
  const auto few = evaluate(flow, drawing, set, Brightness());
  EXPECT_EQ(large.most, 10);  // of the category's only prompt
  EXPECT_EQ(few.pictures.prompts, all.pictures.prompts);
  for (const auto& [metric, values] : all.pictures.metrics) {
    const auto& other = few.pictures.metrics.at(metric);
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(values[i])) {
        EXPECT_TRUE(std::isnan(other[i])) << metric;
      } else {
        // Sums over 32,768 times as many equal pixels.
        EXPECT_NEAR(other[i], values[i], 1e-4) << metric << " " << i;
      }
    }
  }
  EXPECT_EQ(few.thumbnails.sizes(),
            at::IntArrayRef({std::ssize(set.shown), 3, 128, 64}));
}

TEST(Drift, IsTheExactKlOfTheStochasticSteps) {
  ConstantFlow moved(0.25), reference(0);
  for (const auto& path : paths()) {
    const bool flow = path->family() == Family::flow;
    const auto times = path->times(4);
    const Setting setting(*path);
    const auto drawing = setting.drawing();
    const double measured = drift(moved, reference, drawing, small_set());
    double expected = 0;
    for (int64_t i = 0; i < 3; ++i) {
      const StepNoise noise = {.level = flow ? 0.7 : 1.0};
      const double w = path->noisy_step(times, i, noise).w();
      expected += 0.5 * w * w * 0.25 * 0.25 / 3;
    }
    EXPECT_NEAR(measured, expected, 1e-6 * expected);
    EXPECT_EQ(drift(moved, moved, drawing, small_set()), 0);
    const StepNoise noise = {.level = flow ? 0.7 : 1.0};
    const double w = path->noisy_step(times, 0, noise).w();
    EXPECT_NEAR(drift(moved, reference, drawing, small_set(), 1),
                0.5 * w * w * 0.25 * 0.25, 1e-6 * w * w);
  }
}

TEST(Drift, KnowsHowLargeOutputsAreBesideTheReferences) {
  // Without a condition their outputs are their shifts.
  ConstantFlow moved(-0.75), reference(0.25);
  const auto path = paths()[0];
  const Setting setting(*path);
  const auto apart =
      path_drift(moved, reference, setting.drawing(), small_set());
  EXPECT_NEAR(apart.log_output_ratio, std::log(3.0), 1e-6);
  EXPECT_EQ(apart.kl, drift(moved, reference, setting.drawing(), small_set()));
  EXPECT_EQ(
      path_drift(moved, moved, setting.drawing(), small_set()).log_output_ratio,
      0);
}

TEST(Evaluate, ASolversNoiseIsThatOfThePictureWhateverElseIsDrawn) {
  for (const auto& path : paths()) {
    const Setting setting(*path);
    const auto scores = [&](int64_t images, const Solving& solving) {
      auto drawing = setting.drawing();
      drawing.solving = solving;
      auto set = make_evaluation_set(three_categories(), images, 5);
      set.latent_shape = {3, 2, 2};
      ConstantFlow flow(0.1);
      const auto all = evaluate(flow, drawing, set, Brightness()).pictures;
      std::map<std::pair<int64_t, int64_t>, double> out;
      for (int64_t i = 0; i < set.size(); ++i) {
        out[{set.prompts[i].id, set.members[i]}] = all.metrics.at("reward")[i];
      }
      return out;
    };
    const Solving sa = {Solver::sa, usual_adams(path->family())};
    Solving without_noise = sa;
    without_noise.adams.tau = 0;
    const auto many = scores(30, sa);
    for (const auto& [picture, score] : scores(12, sa)) {
      EXPECT_EQ(many.at(picture), score);
    }
    EXPECT_NE(many, scores(30, without_noise));
    EXPECT_NE(many, scores(30, {}));
  }
}

TEST(Evaluate, WatchesWhatNobodyAskedFor) {
  const auto result = evaluated(small_set());
  for (const char* name : {"edges", "colours", "saturation", "diversity"}) {
    EXPECT_TRUE(result.watch.contains(name)) << name;
  }
  EXPECT_NEAR(result.watch.at("diversity"), result.all.means.at("diversity"),
              1e-12);
  EXPECT_EQ(to_json(result).at("watch").at("edges"), result.watch.at("edges"));
  // One picture a prompt has no diversity.
  auto few = make_evaluation_set(three_categories(), 3, 5);
  few.latent_shape = {3, 2, 2};
  EXPECT_FALSE(evaluated(few).watch.contains("diversity"));
}

}  // namespace
}  // namespace rsm
