#include "rsm/report/run_summary.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "rsm/base/error.h"
#include "rsm/data/picture_scores.h"
#include "rsm/io/testing.h"
#include "rsm/report/run_testing.h"

namespace rsm::report {
namespace {

using Verdict = RunSummary::Verdict;

RunRecord record_of(const std::vector<nlohmann::json>& log) {
  const TemporaryFolder folder;
  write_run(folder.path(), log, example_run());
  write_samples(folder.path());
  return read_run(folder.path());
}

RunSummary summary_of(const std::vector<nlohmann::json>& log) {
  return summarise(record_of(log));
}

TEST(RunSummary, HeadlineHasTheLogsNumbers) {
  EXPECT_EQ(headline(summary_of(example_log())),
            "Strict score on 100 held-out pictures: 0.400 → 0.600 "
            "(+0.200 ± 0.069) in 2 min 12 s");
}

TEST(RunSummary, OnlyChangesBeyondTwoErrorsCount) {
  const auto verdict = [](double after, double texture) {
    return summary_of({evaluation_line(0, 0.40, 0.4, 1e-4),
                       evaluation_line(1, after, after, texture)})
        .verdict;
  };
  EXPECT_EQ(verdict(0.55, 1e-4), Verdict::better);
  EXPECT_EQ(verdict(0.53, 1e-4), Verdict::same);
  EXPECT_EQ(verdict(0.27, 1e-4), Verdict::same);
  EXPECT_EQ(verdict(0.25, 1e-4), Verdict::worse);
  EXPECT_EQ(verdict(0.55, 1.49e-4), Verdict::better);
  EXPECT_EQ(verdict(0.55, 1.51e-4), Verdict::suspicious);
  EXPECT_EQ(verdict(0.25, 1.51e-4), Verdict::worse);
}

/** A run of a reward that is told in its trained value, from `before` on. */
RunRecord plain_run(double before, double after, const MeanError& error) {
  RunRecord record;
  record.main_metric = kTrainedMetric;
  for (const double mean : {before, after}) {
    EpochRecord line;
    line.epoch = std::ssize(record.epochs);
    line.evaluation = EvaluationRecord{
        {306, {{"reward", mean}}, {{"reward", {0.1}}}, {{"reward", error}}},
        {},
        0.001};
    record.epochs.push_back(line);
  }
  return record;
}

TEST(RunSummary, EveryRewardIsAskedForItsError) {
  // configs/shapes/diffusion-jpeg.yaml: 0.003 kB of pictures that vary by more.
  const auto unclear = summarise(plain_run(-1.207, -1.204, {0.004}));
  EXPECT_EQ(unclear.verdict, Verdict::same);
  EXPECT_EQ(headline(unclear),
            "Reward on 306 held-out pictures: -1.2070 → -1.2040 (+0.0030 ± "
            "0.0040)");
  EXPECT_EQ(summarise(plain_run(-1.207, -1.204, {0.001})).verdict,
            Verdict::better);
  EXPECT_EQ(summarise(plain_run(-1.207, -1.21, {0.001})).verdict,
            Verdict::worse);
}

TEST(RunSummary, WithoutAnErrorNothingIsClaimed) {
  for (const double after : {-2.0, -1.2, 5.0}) {
    const auto summary = summarise(plain_run(-1.2, after, {}));
    EXPECT_EQ(summary.verdict, Verdict::unclaimed);
    ASSERT_EQ(summary.warnings.size(), 1u);
    expect_parts(summary.warnings[0].text, {"not claimed", "no error"});
  }
}

TEST(RunSummary, ALogWithoutItsBeginningClaimsNothing) {
  auto log = example_log();
  log[0]["epoch"] = 1;
  log.erase(log.begin() + 1);
  const auto summary = summary_of(log);
  EXPECT_EQ(summary.verdict, Verdict::unclaimed);
  expect_parts(headline(summary), {"0.400 → 0.600 (+0.200) since epoch 1"});
  expect_parts(summary.warnings[1].text, {"epochs 0;"});
  expect_parts(verdict_text(summary), {"No claim"});
}

TEST(RunSummary, WhatIsClaimedIsNeverShownAsZero) {
  for (const double gain : {1e-2, -3e-4, 2e-6, -5e-7}) {
    const auto summary =
        summarise(plain_run(0.5, 0.5 + gain, {std::abs(gain) / 10}));
    ASSERT_NE(summary.verdict, Verdict::same);
    const auto text = headline(summary);
    EXPECT_EQ(text.find("(+0.000)"), std::string::npos) << text;
    expect_parts(text, {gain > 0 ? "(+" : "(-"});
    const auto digits = text.substr(text.find('('), text.find(" ±"));
    EXPECT_NE(digits.find_first_of("123456789"), std::string::npos) << text;
  }
  // Less than float32 scores can tell.
  EXPECT_EQ(summarise(plain_run(0.5, 0.5 - 1e-8, {0})).verdict, Verdict::same);
  EXPECT_EQ(summarise(plain_run(0.5, 0.5, {0})).verdict, Verdict::same);
}

/** Scores of 24 prompts with two pictures each. What training does to a prompt
 * has mean `effect`; prompts differ much, changes of a prompt's pictures are
 * alike. */
PictureScores noise_scores(double effect, std::mt19937_64& random,
                           const PictureScores* before) {
  std::normal_distribution<double> normal;
  PictureScores out;
  out.metrics["reward"] = {};
  for (int64_t i = 0; i < 48; ++i) {
    out.prompts.push_back(i / 2);
    out.members.push_back(i % 2);
    out.categories.emplace_back("");
  }
  double prompt = 0;
  for (size_t i = 0; i < 48; ++i) {
    if (i % 2 == 0) prompt = effect + normal(random);
    const double start =
        before == nullptr ? 10 * prompt : before->metrics.at("reward")[i];
    out.metrics["reward"].push_back(start + prompt + 0.3 * normal(random));
  }
  return out;
}

/** How often a run of this effect is said to have changed, of 2000. */
int claims(double effect) {
  std::mt19937_64 random(7);
  int claimed = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const auto before = noise_scores(0, random, nullptr);
    const auto after = noise_scores(effect, random, &before);
    const auto verdict =
        summarise(plain_run(means_of(before).at("reward"),
                            means_of(after).at("reward"),
                            errors_of(difference(before, after)).at("reward")))
            .verdict;
    claimed += verdict == Verdict::better || verdict == Verdict::worse;
  }
  return claimed;
}

TEST(RunSummary, ARewardOfNoiseIsCalledBetterOrWorseNoMoreOftenThanAllowed) {
  // 4.55 % of 2000 are 91, with a standard deviation of 9.3.
  EXPECT_LT(claims(0), 91 + 3 * 9.3);
  EXPECT_GT(claims(0), 91 - 3 * 9.3);
  // A gain of five errors is not missed.
  EXPECT_GT(claims(1), 1980);
}

TEST(RunSummary, AlikePicturesAreSuspicious) {
  const auto summary = [](double diversity, double error = 0.001) {
    return summary_of(
        {with_metric(evaluation_line(0, 0.40, 0.4, 1e-4), "diversity", 0.2, 0),
         with_metric(evaluation_line(1, 0.55, 0.55, 1e-4), "diversity",
                     diversity, error)});
  };
  EXPECT_EQ(summary(0.14).verdict, Verdict::better);
  EXPECT_EQ(summary(0.13).verdict, Verdict::suspicious);
  ASSERT_EQ(summary(0.13).warnings.size(), 1u);
  expect_parts(summary(0.13).warnings[0].text, {"differ 0.65 times", "beta"});
  // By chance alone.
  EXPECT_EQ(summary(0.13, 0.1).verdict, Verdict::better);
}

TEST(RunSummary, CategoriesComeByGain) {
  const auto summary = summary_of(example_log());
  ASSERT_EQ(summary.categories.size(), 2u);
  EXPECT_EQ(summary.categories[0].name, "counting");
  EXPECT_DOUBLE_EQ(summary.categories[0].change.gain(), 0.5);
  EXPECT_EQ(summary.categories[1].name, "two colors");
  // -0.10 ± 0.10 is not named.
  EXPECT_EQ(category_sentence(summary),
            "Gained most: counting +0.500 ± 0.100.");
}

TEST(RunSummary, OfManyCategoriesMoreIsAskedOfEach) {
  const auto sentence = [](int categories) {
    std::vector<nlohmann::json> log = {evaluation_line(0, 0.4, 0.4, 1e-4),
                                       evaluation_line(1, 0.4, 0.4, 1e-4)};
    for (int i = 0; i < categories - 2; ++i) {
      for (auto& line : log) {
        line["eval"]["by_category"][cat("more ", i)] =
            line["eval"]["by_category"]["counting"];
      }
    }
    // 2.4 errors: sure for two categories, not for twelve.
    log[1]["eval"]["by_category"]["counting"]["strict"] = 0.64;
    return category_sentence(summary_of(log));
  };
  EXPECT_EQ(sentence(2), "Gained most: counting +0.240 ± 0.100.");
  EXPECT_EQ(sentence(12), "No category changed clearly.");
}

TEST(RunSummary, CategoriesOfTwoPromptsHaveToChangeByMore) {
  const auto sentence = [](const nlohmann::json& freedom) {
    std::vector<nlohmann::json> log = {evaluation_line(0, 0.4, 0.4, 1e-4),
                                       evaluation_line(1, 0.4, 0.4, 1e-4)};
    for (auto& line : log) {
      auto& counting = line["eval"]["by_category"]["counting"];
      counting["change_errors"]["strict"] = 0.02;
      counting["change_freedom"]["strict"] = freedom;
    }
    // Twenty standard errors. Of two changes one degree of freedom asks 28.
    log[1]["eval"]["by_category"]["counting"]["strict"] = 0.8;
    return category_sentence(summary_of(log));
  };
  EXPECT_EQ(sentence(1), "No category changed clearly.");
  EXPECT_EQ(sentence(2), "Gained most: counting +0.400 ± 0.045.");
  // An error of unknown freedom is none.
  EXPECT_EQ(sentence(nullptr), "No category changed clearly.");
}

TEST(RunSummary, WhatFellWhileTheRewardRoseIsSaidInWords) {
  const auto sentence = [](double reward, double other, double mirror) {
    auto before =
        with_metric(evaluation_line(0, 0.40, 0.4, 1e-4), "beauty", 0.5, 0.01);
    auto after = with_metric(evaluation_line(1, 0.40, 0.4, 1.2e-4), "beauty",
                             0.5 + other, 0.01);
    before = with_metric(before, "size", 3, 0.02);
    after = with_metric(after, "size", 3 + mirror, 0.02);
    after["eval"]["reward"] = 0.9 + reward;
    return price_sentence(summary_of({before, after}));
  };
  EXPECT_EQ(sentence(0.1, -0.05, 0),
            "While the trained reward rose by +0.100 ± 0.020, clearly fell: "
            "beauty -0.050 ± 0.010, clearly rose: texture +2e-5 ± 1e-6.");
  // What fell by as much as the reward rose is the reward itself.
  EXPECT_EQ(sentence(0.1, 0, -0.1).find("size"), std::string::npos);
  expect_parts(sentence(0.1, 0, -0.2), {"fell: size -0.200"});
  // A fall within its errors, and a reward that did not rise.
  EXPECT_EQ(sentence(0.1, -0.02, 0).find("beauty"), std::string::npos);
  EXPECT_EQ(sentence(0.01, -0.05, 0), "");
}

TEST(RunSummary, WhatIsWatchedIsComparedWithItsStart) {
  const auto watched = watched_of(summary_of(example_log()));
  ASSERT_EQ(watched.size(), 1u);
  EXPECT_EQ(watched[0].name, "texture");
  EXPECT_NEAR(watched[0].ratio, 1.1, 1e-12);
  EXPECT_FALSE(watched[0].bad);
  EXPECT_TRUE(watched_of(summary_of({{{"epoch", 0}}})).empty());
}

TEST(RunSummary, ScoresThatFellBackAreWarnedOf) {
  auto log = example_log();
  for (auto& line : log) {
    if (line.contains("eval")) line["eval"]["change_errors"]["strict"] = 0.03;
  }
  log.push_back(evaluation_line(3, 0.42, 0.45, 2e-4));
  log.back()["eval"]["change_errors"]["strict"] = 0.03;
  auto summary = summary_of(log);
  EXPECT_EQ(summary.verdict, Verdict::same);
  expect_parts(summary.warnings.back().text, {"0.600 at epoch 2", "0.420"});
  // A fall within its errors is none.
  log.back()["eval"]["change_errors"]["strict"] = 0.09;
  EXPECT_EQ(summary_of(log).warnings.size(), 1u);
}

TEST(RunSummary, WarningsThatDifferInNumbersAreOne) {
  auto log = example_log();
  log[1]["warnings"] = {"gap of 0.25", "other"};
  const auto summary = summary_of(log);
  ASSERT_EQ(summary.warnings.size(), 2u);
  EXPECT_EQ(summary.warnings[0].text, "gap of 0.1");
  EXPECT_EQ(summary.warnings[0].epochs, 2);
  EXPECT_EQ(summary.warnings[0].first_epoch, 1);
  EXPECT_EQ(summary.warnings[0].last_epoch, 2);
  expect_parts(warning_text(summary.warnings[0]), {" (in 2 epochs, 1 to 2)"});
  expect_parts(warning_text(summary.warnings[1]), {" (in epoch 1)"});
}

TEST(RunSummary, WarningsOfTheRunAsAWholeAreShown) {
  const TemporaryFolder folder;
  auto run = example_run();
  run["warnings"] = {"3 prompts are longer than the tokenizer takes"};
  write_run(folder.path(), example_log(), run);
  const auto text = summary_text(read_run(folder.path()));
  expect_parts(text, {"warning: 3 prompts are longer than the tokenizer "
                      "takes\n"});
}

TEST(RunSummary, OneEvaluationIsNoResult) {
  const auto summary = summary_of({evaluation_line(0, 0.4, 0.2, 2e-4)});
  EXPECT_EQ(summary.verdict, Verdict::unknown);
  EXPECT_EQ(headline(summary),
            "Strict score on 100 held-out pictures before training: 0.400");
  const auto text =
      summary_text(record_of({evaluation_line(0, 0.4, 0.2, 2e-4)}));
  expect_parts(text, {"counting     0.200    n/a     n/a  [#####...."});
  EXPECT_EQ(text.find("->"), std::string::npos);
  EXPECT_EQ(headline(summary_of({{{"epoch", 0}}})),
            "No evaluation in the log yet");
}

TEST(RunSummary, TerminalTextShowsGainsAndLosses) {
  const auto text = summary_text(record_of(example_log()));
  expect_parts(
      text,
      {"The model got better.\n",
       "0.400 -> 0.600 (+0.200 +- 0.069) in 2 min 12 s.\n",
       // 5 cells of 24 before and 17 after; 14 and 12.
       "+0.500  [#####++++++++++++.......]\n",
       "-0.100  [############--..........]\n",
       "reward (trained)     0.9     0.9  +0.000 +- 0.020  no clear change\n",
       "Texture 1.10 times what it was;", "drift 0.002 (KL per latent element)",
       "finished at epoch 2", "warning: gap of 0.1 (in epoch 2)\n"});
  EXPECT_EQ(text.back(), '\n');
  for (const char c : text) EXPECT_EQ(c & 0x80, 0);
}

}  // namespace
}  // namespace rsm::report
