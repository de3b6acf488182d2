#include "rsm/data/certainty.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Numbers = std::vector<double>;
using Ids = std::vector<int64_t>;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/** How many pictures each prompt of each category has. */
using Design = std::vector<Ids>;

struct Pictures {
  Numbers values;
  Ids prompts;
  std::vector<std::string> categories;

  double error() const { return error_of_mean(values, prompts, categories); }
};

/** Values of mean 0 over the design: pictures of a prompt have a part in common
 * and one of their own. Categories are far apart, which is no chance; neither
 * is the part of the only prompt of one. */
Pictures draw(const Design& design, double common, double own,
              std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Pictures out;
  int64_t prompt = 0;
  double sum = 0;
  for (size_t c = 0; c < design.size(); ++c) {
    for (const int64_t pictures : design[c]) {
      const double chance = design[c].size() > 1 ? common * normal(random) : 0;
      ++prompt;
      for (int64_t i = 0; i < pictures; ++i) {
        const auto fixed = 3 * static_cast<double>(c);
        sum += fixed;
        out.values.push_back(fixed + chance + own * normal(random));
        out.prompts.push_back(prompt);
        out.categories.push_back(cat("category ", c));
      }
    }
  }
  const auto count = static_cast<double>(out.values.size());
  for (double& value : out.values) value -= sum / count;
  return out;
}

constexpr int kTrials = 4000;

/** How often the true mean, 0, lies within kSureErrors of the estimate. */
double coverage(const Design& design, double common, double own) {
  std::mt19937_64 random(1);
  int inside = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto pictures = draw(design, common, own, random);
    inside +=
        std::abs(mean_of(pictures.values)) < kSureErrors * pictures.error();
  }
  return static_cast<double>(inside) / kTrials;
}

/** 95.45 % of 4000 trials have a standard deviation of 0.33 %. */
constexpr double kCovered = 0.9545;
constexpr double kSlack = 0.012;

TEST(ErrorOfMean, CoversTheTruthHoweverFewTheAlikePromptsAre) {
  for (const size_t prompts : {2, 3, 4, 6, 12, 100}) {
    for (const int64_t each : {1, 4}) {
      EXPECT_NEAR(coverage({Ids(prompts, each)}, 1, 0.5), kCovered, kSlack)
          << prompts << " prompts of " << each;
    }
  }
  EXPECT_NEAR(coverage({{30}}, 1, 1), kCovered, kSlack);
}

TEST(ErrorOfMean, CoversTheTruthOfUnequalCategories) {
  // shapes:held_out with 612 pictures, and a few pictures of six categories.
  const Design shapes = {{102},      {51, 51},    {51, 51},
                         Ids(6, 17), Ids(10, 10), Ids(102, 1)};
  EXPECT_NEAR(coverage(shapes, 1, 0.5), kCovered, 0.02);
  EXPECT_NEAR(coverage(shapes, 0.2, 1), kCovered, kSlack);
  for (const Design& few :
       {Design{{2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, Design(6, Ids{3, 3}),
        Design{{2, 1}, {2, 1, 1}, {1, 1, 1, 1}}}) {
    EXPECT_GT(coverage(few, 1, 0.5), kCovered - kSlack);
    EXPECT_GT(coverage(few, 0, 1), kCovered - kSlack);
  }
}

TEST(ErrorOfMean, CategoriesOfOnePictureAreTakenTogether) {
  // Their difference then counts as chance: too large, never too small.
  EXPECT_GT(coverage(Design(5, Ids{1}), 1, 1), kCovered - kSlack);
  EXPECT_GT(coverage({{1}, Ids(8, 2)}, 1, 1), kCovered - kSlack);
  EXPECT_EQ(error_of_mean({1, 3}, {1, 2}, {"a", "b"}),
            error_of_mean({1, 3}, {1, 2}, {"a", "a"}));
}

TEST(ErrorOfMean, TakingPicturesOfAPromptForIndependentWouldClaimTooMuch) {
  std::mt19937_64 random(1);
  int inside = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    auto pictures = draw({Ids(12, 8)}, 1, 0.5, random);
    for (size_t i = 0; i < pictures.prompts.size(); ++i) {
      pictures.prompts[i] = static_cast<int64_t>(i);
    }
    inside +=
        std::abs(mean_of(pictures.values)) < kSureErrors * pictures.error();
  }
  EXPECT_LT(inside, 0.7 * kTrials);
}

TEST(ErrorOfMean, IsThatOfTheMeanOverEquallyLargePrompts) {
  const Numbers means = {0.1, 0.5, 0.9, 0.2};
  Pictures pictures;
  for (size_t p = 0; p < means.size(); ++p) {
    for (const double off : {-0.3, 0.0, 0.3}) {
      pictures.values.push_back(means[p] + off);
      pictures.prompts.push_back(static_cast<int64_t>(p));
      pictures.categories.emplace_back("");
    }
  }
  double square = 0;
  for (const double m : means) square += (m - 0.425) * (m - 0.425);
  EXPECT_NEAR(mean_of(pictures.values), 0.425, 1e-15);
  EXPECT_NEAR(pictures.error(),
              std::sqrt(square / 3 / 4) * small_sample_factor(3), 1e-14);
}

TEST(ErrorOfMean, PassesOverMissingNumbers) {
  const auto error = [](const Numbers& values, const Ids& prompts) {
    return error_of_mean(values, prompts,
                         std::vector<std::string>(values.size()));
  };
  EXPECT_EQ(error({1, kMissing, 3, 5}, {1, 1, 2, 3}),
            error({1, 3, 5}, {1, 2, 3}));
  EXPECT_EQ(mean_of({1, kMissing, 3}), 2);
  EXPECT_TRUE(std::isnan(mean_of({kMissing})));
  EXPECT_TRUE(std::isnan(error({1, kMissing}, {1, 2})));
  EXPECT_TRUE(std::isnan(error({}, {})));
  EXPECT_EQ(error({2, 2, 2}, {1, 2, 3}), 0);
  EXPECT_THROW(error({1, 2}, {1}), Error);
}

TEST(SmallSampleFactor, IsStudentsQuantile) {
  // Quantiles of t at 0.97725 by numerical integration, over 2.
  const std::vector<std::pair<double, double>> table = {
      {1, 13.968 / 2}, {2, 4.5266 / 2},  {3, 3.3068 / 2},
      {5, 2.6487 / 2}, {10, 2.2837 / 2}, {30, 2.0873 / 2}};
  for (const auto& [freedom, factor] : table) {
    EXPECT_NEAR(small_sample_factor(freedom), factor, 0.002 * factor);
  }
  EXPECT_NEAR(small_sample_factor(1e6), 1, 1e-5);
  double before = small_sample_factor(1);
  for (double freedom = 1.05; freedom < 5; freedom += 0.05) {
    EXPECT_LT(small_sample_factor(freedom), before) << freedom;
    before = small_sample_factor(freedom);
  }
  EXPECT_TRUE(std::isnan(small_sample_factor(0)));
}

TEST(SureErrors, KeepTheRateOfWrongStatements) {
  EXPECT_EQ(sure_errors(1), kSureErrors);
  for (const size_t n : {2, 6, 100}) {
    const double rate = std::erfc(sure_errors(n) / std::sqrt(2.0));
    EXPECT_NEAR(static_cast<double>(n) * rate,
                std::erfc(kSureErrors / std::sqrt(2.0)), 1e-9);
  }
}

}  // namespace
}  // namespace rsm
