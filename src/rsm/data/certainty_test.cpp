#include "rsm/data/certainty.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <random>
#include <tuple>

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

  MeanError error() const { return error_of_mean(values, prompts, categories); }
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

/** MeanError::sure(statements), each quantile found once. */
class Quantiles {
 public:
  explicit Quantiles(size_t statements = 1) : statements_(statements) {}

  double of(const MeanError& error) {
    const auto [place, is_new] = known_.try_emplace(error.freedom, 0);
    if (is_new) {
      place->second = MeanError{1, error.freedom}.sure(statements_);
    }
    return error.standard * place->second;
  }

 private:
  size_t statements_;
  std::map<double, double> known_;
};

/** How often the true mean, 0, is no further off than chance allows; `apart`
 * takes every picture for a prompt of its own. */
double coverage(const Design& design, double common, double own,
                bool apart = false) {
  std::mt19937_64 random(1);
  Quantiles quantiles;
  int inside = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    auto pictures = draw(design, common, own, random);
    if (apart) std::iota(pictures.prompts.begin(), pictures.prompts.end(), 0);
    inside +=
        std::abs(mean_of(pictures.values)) < quantiles.of(pictures.error());
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
  const auto apart = error_of_mean({1, 3}, {1, 2}, {"a", "b"});
  const auto alike = error_of_mean({1, 3}, {1, 2}, {"a", "a"});
  EXPECT_EQ(apart.standard, alike.standard);
  EXPECT_EQ(apart.freedom, alike.freedom);
}

TEST(ErrorOfMean, TakingPicturesOfAPromptForIndependentWouldClaimTooMuch) {
  EXPECT_LT(coverage({Ids(12, 8)}, 1, 0.5, true), 0.7);
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
  EXPECT_NEAR(pictures.error().standard, std::sqrt(square / 3 / 4), 1e-14);
  EXPECT_NEAR(pictures.error().freedom, 3, 1e-12);
}

TEST(ErrorOfMean, PassesOverMissingNumbers) {
  const auto error = [](const Numbers& values, const Ids& prompts) {
    return error_of_mean(values, prompts,
                         std::vector<std::string>(values.size()));
  };
  EXPECT_EQ(error({1, kMissing, 3, 5}, {1, 1, 2, 3}).standard,
            error({1, 3, 5}, {1, 2, 3}).standard);
  EXPECT_EQ(mean_of({1, kMissing, 3}), 2);
  EXPECT_TRUE(std::isnan(mean_of({kMissing})));
  EXPECT_FALSE(error({1, kMissing}, {1, 2}).is_known());
  EXPECT_FALSE(error({}, {}).is_known());
  EXPECT_EQ(error({2, 2, 2}, {1, 2, 3}).sure(6), 0);
  EXPECT_THROW(error({1, 2}, {1}), Error);
}

/** What the normal distribution leaves beyond kSureErrors. */
double sure_tail() { return std::erfc(kSureErrors / std::numbers::sqrt2); }

TEST(TQuantile, IsThatOfTables) {
  // Two-sided tail, degrees of freedom, quantile to three decimals.
  using Row = std::tuple<double, double, double>;
  for (const auto& [tail, freedom, quantile] :
       {Row{0.05, 1, 12.706}, Row{0.05, 2, 4.303}, Row{0.05, 5, 2.571},
        Row{0.05, 10, 2.228}, Row{0.05, 30, 2.042}, Row{0.05, 100, 1.984},
        Row{0.01, 1, 63.657}, Row{0.01, 2, 9.925}, Row{0.01, 5, 4.032},
        Row{0.01, 100, 2.626}, Row{0.001, 1, 636.619}, Row{0.001, 5, 6.869},
        Row{0.5, 3, 0.765}}) {
    EXPECT_NEAR(t_quantile(tail, freedom), quantile, 0.0006)
        << tail << ", " << freedom;
  }
}

TEST(TQuantile, HasItsClosedFormsInBothTails) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double tail : {0.9, 0.3, 0.05, 1e-3, 1e-6}) {
    const double one = 1 / std::tan(std::numbers::pi * tail / 2);
    EXPECT_NEAR(t_quantile(tail, 1), one, 1e-8 * one) << tail;
    const double covered = 1 - tail;
    const double two = covered * std::sqrt(2 / (tail * (1 + covered)));
    EXPECT_NEAR(t_quantile(tail, 2), two, 1e-8 * two) << tail;
    const double normal = t_quantile(tail, kInfinity);
    EXPECT_NEAR(std::erfc(normal / std::numbers::sqrt2), tail, 1e-12);
    EXPECT_NEAR(t_quantile(tail, 9.9e5), normal, 1e-4 * normal) << tail;
  }
}

TEST(TQuantile, FallsWithFreedomAndWithTheTail) {
  for (double freedom = 0.5; freedom < 7e5; freedom *= 1.3) {
    EXPECT_GT(t_quantile(0.05, freedom), t_quantile(0.05, 1.3 * freedom));
    EXPECT_GT(t_quantile(0.01, freedom), t_quantile(0.02, freedom));
  }
  for (const double wrong : {0.0, -1.0, kMissing}) {
    EXPECT_TRUE(std::isnan(t_quantile(0.05, wrong)));
    EXPECT_TRUE(std::isnan(t_quantile(wrong, 5)));
  }
  EXPECT_TRUE(std::isnan(t_quantile(1, 5)));
}

/** How often one of so many means of as many prompts, all truly 0, is called
 * another; of `trials`. */
double wrong_rate(size_t freedom, size_t statements, int trials) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  Ids prompts;
  for (size_t i = 0; i <= freedom; ++i) {
    prompts.push_back(static_cast<int64_t>(i));
  }
  const std::vector<std::string> categories(prompts.size());
  Quantiles quantiles(statements);
  int wrong = 0;
  for (int trial = 0; trial < trials; ++trial) {
    bool any = false;
    for (size_t s = 0; s < statements; ++s) {
      Numbers values;
      for (size_t i = 0; i <= freedom; ++i) values.push_back(normal(random));
      const auto error = error_of_mean(values, prompts, categories);
      any = any || std::abs(mean_of(values)) > quantiles.of(error);
    }
    wrong += any;
  }
  return static_cast<double>(wrong) / trials;
}

TEST(MeanErrors, OfAnyNumberAreWrongAsRarelyHoweverFewThePrompts) {
  constexpr int trials = 4000;
  for (const size_t freedom : {1, 2, 5, 100}) {
    for (const size_t statements : {1, 6}) {
      // Independent ones together: 1 - (1 - p / m)^m, at most p.
      const auto m = static_cast<double>(statements);
      const double rate = 1 - std::pow(1 - sure_tail() / m, m);
      EXPECT_NEAR(wrong_rate(freedom, statements, trials), rate,
                  3.5 * std::sqrt(rate / trials))
          << freedom << " degrees of freedom, " << statements << " statements";
    }
  }
}

TEST(MeanErrors, ShowHalfOfWhatIsSure) {
  const MeanError many = {0.1, std::numeric_limits<double>::infinity()};
  EXPECT_NEAR(many.shown(), 0.1, 1e-12);
  EXPECT_NEAR(many.sure(), 0.2, 1e-12);
  // Two prompts of a category: 13.97 standard errors, of six categories 83.9.
  const MeanError two = {0.1, 1};
  EXPECT_NEAR(two.sure(), 1.3968, 0.001);
  EXPECT_NEAR(two.shown(), 0.6984, 0.001);
  EXPECT_NEAR(two.sure(6), 8.39, 0.01);
}

TEST(MeanErrors, AddUpAsWelchSays) {
  // Two means of equal error have the freedom of both; of very unequal ones
  // the larger counts.
  const auto equal = error_of_both({0.3, 4}, {0.3, 4});
  EXPECT_NEAR(equal.standard, 0.3 * std::numbers::sqrt2, 1e-12);
  EXPECT_NEAR(equal.freedom, 8, 1e-12);
  EXPECT_NEAR(error_of_both({1, 3}, {1e-6, 50}).freedom, 3, 1e-9);
  EXPECT_EQ(error_of_both({0, 1}, {0, 2}).sure(), 0);
  EXPECT_FALSE(error_of_both({}, {1, 3}).is_known());
}

}  // namespace
}  // namespace rsm
