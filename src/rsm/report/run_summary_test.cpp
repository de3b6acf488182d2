#include "rsm/report/run_summary.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/report/report_testing.h"

namespace rsm {
namespace {

using Verdict = RunSummary::Verdict;

RunRecord record_of(const std::vector<nlohmann::json>& log) {
  const TemporaryFolder folder;
  write_example(folder.path(), log, example_run());
  return read_run(folder.path());
}

RunSummary summary_of(const std::vector<nlohmann::json>& log) {
  return summarise(record_of(log));
}

TEST(RunSummary, HeadlineHasTheLogsNumbers) {
  // sqrt((0.4 * 0.6 + 0.6 * 0.4) / 100) = 0.0693; 132 s at epoch 2.
  EXPECT_EQ(headline(summary_of(example_log())),
            "Strict score on 100 held-out pictures: 0.400 -> 0.600 "
            "(+0.200 +- 0.069) in 2 min 12 s");
}

TEST(RunSummary, OnlyChangesBeyondTwoErrorsCount) {
  const auto verdict = [](double after, double texture) {
    return summary_of({evaluation_line(0, 0.40, 0.4, 1e-4),
                       evaluation_line(1, after, after, texture)})
        .verdict;
  };
  EXPECT_EQ(verdict(0.55, 1e-4), Verdict::better);
  EXPECT_EQ(verdict(0.50, 1e-4), Verdict::same);
  EXPECT_EQ(verdict(0.30, 1e-4), Verdict::same);
  EXPECT_EQ(verdict(0.20, 1e-4), Verdict::worse);
  EXPECT_EQ(verdict(0.55, 1.49e-4), Verdict::better);
  EXPECT_EQ(verdict(0.55, 1.51e-4), Verdict::suspicious);
  EXPECT_EQ(verdict(0.20, 1.51e-4), Verdict::worse);
}

TEST(RunSummary, AlikePicturesAreSuspicious) {
  const auto summary = [](double diversity) {
    auto before = evaluation_line(0, 0.40, 0.4, 1e-4);
    auto after = evaluation_line(1, 0.55, 0.55, 1e-4);
    before["eval"]["metrics"]["diversity"] = 0.2;
    after["eval"]["metrics"]["diversity"] = diversity;
    return summary_of({before, after});
  };
  EXPECT_EQ(summary(0.14).verdict, Verdict::better);
  EXPECT_EQ(summary(0.13).verdict, Verdict::suspicious);
  ASSERT_EQ(summary(0.13).warnings.size(), 1u);
  expect_parts(summary(0.13).warnings[0].text, {"differ 0.65 times", "beta"});
}

TEST(RunSummary, CategoriesComeByGain) {
  const auto summary = summary_of(example_log());
  ASSERT_EQ(summary.categories.size(), 2u);
  EXPECT_EQ(summary.categories[0].name, "counting");
  EXPECT_DOUBLE_EQ(summary.categories[0].change.gain(), 0.5);
  EXPECT_EQ(summary.categories[1].name, "two colors");
  // -0.10 +- 0.10 is not named.
  EXPECT_EQ(category_sentence(summary), "Gained most: counting +0.500.");
}

TEST(RunSummary, TextureIsComparedWithTheBaseModel) {
  EXPECT_EQ(texture_sentence(summary_of(example_log())),
            "background texture 1.1x the base model's");
  EXPECT_EQ(texture_sentence(summary_of({{{"epoch", 0}}})), "");
}

TEST(RunSummary, ScoresThatFellBackAreWarnedOf) {
  auto log = example_log();
  log.push_back(evaluation_line(3, 0.45, 0.45, 2e-4));
  const auto summary = summary_of(log);
  EXPECT_EQ(summary.verdict, Verdict::same);
  EXPECT_EQ(summary.best_epoch, 2);
  expect_parts(summary.warnings.back().text, {"0.600 at epoch 2", "0.450"});
}

TEST(RunSummary, WarningsThatDifferInNumbersAreOne) {
  auto log = example_log();
  log[1]["warnings"] = {"gap of 0.25", "other"};
  const auto summary = summary_of(log);
  ASSERT_EQ(summary.warnings.size(), 2u);
  EXPECT_EQ(summary.warnings[0].text, "gap of 0.1");
  EXPECT_EQ(summary.warnings[0].epochs, 2);
  EXPECT_EQ(summary.warnings[0].last_epoch, 2);
}

TEST(RunSummary, OneEvaluationIsNoResult) {
  const auto summary = summary_of({evaluation_line(0, 0.4, 0.2, 2e-4)});
  EXPECT_EQ(summary.verdict, Verdict::unknown);
  EXPECT_EQ(headline(summary),
            "Strict score on 100 held-out pictures before training: 0.400");
  EXPECT_EQ(texture_sentence(summary), "");
  const auto text =
      summary_text(record_of({evaluation_line(0, 0.4, 0.2, 2e-4)}));
  expect_parts(text, {"  counting         0.200  [#####...."});
  EXPECT_EQ(text.find("->"), std::string::npos);
  EXPECT_EQ(headline(summary_of({{{"epoch", 0}}})),
            "No evaluation in the log yet");
}

TEST(RunSummary, TerminalTextShowsGainsAndLosses) {
  const auto text = summary_text(record_of(example_log()));
  expect_parts(text,
               {"The model got better.\n",
                "0.400 -> 0.600 (+0.200 +- 0.069) in 2 min 12 s.\n",
                // 5 cells of 24 before and 17 after; 14 and 12.
                "[#####++++++++++++.......]",
                "[############--.........."
                "]",
                "+0.500", "-0.100", "Background texture 1.1x the base model's",
                "drift 0.002 (KL per latent element)", "finished at epoch 2",
                "warning: gap of 0.1\n"});
  EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace rsm
