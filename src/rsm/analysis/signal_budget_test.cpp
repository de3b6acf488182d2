#include "rsm/analysis/signal_budget.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/analysis/signal_run.h"
#include "rsm/analysis/signal_tables.h"
#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TimeSignal signal_of(int64_t step, Measured signal) {
  TimeSignal out;
  out.step = step;
  out.t = 1 - 0.25 * static_cast<double>(step);
  out.branches = 6;
  out.variance = {1, 0.1};
  out.odd = {0.9, 0.1};
  out.odd_share = {0.9, 0.02};
  out.signal = signal;
  out.noise = {10, 1};
  out.noise_scale = {signal.value > 0 ? 10 / signal.value : NAN, 1};
  out.evaluations = 20;
  out.branch_evaluations = 2;
  return out;
}

/** Of the second much signal is known; of the third that there is none; of the
 * fourth nothing. */
std::vector<TimeSignal> four_times() {
  return {signal_of(0, {1, 0.01}), signal_of(1, {1, 0.01}),
          signal_of(2, {0, 0.001}), signal_of(3, {0, 5})};
}

/** Divided by a spread gradients of a step that decides little are as large. */
TEST(SignalBudget, CountsWhatRewardsGain) {
  auto signals = four_times();
  signals.resize(2);
  EXPECT_EQ(time_budgets(signals, {8, 8}, 4)[1].measured, 8);
  signals[1].spread = 0.02;
  const auto budgets = time_budgets(signals, {8, 8}, 4);
  EXPECT_EQ(budgets[0].measured, 16);
  EXPECT_EQ(budgets[1].measured, 0);
  EXPECT_EQ(budgets[1].verdict, BudgetVerdict::wasted);
}

TEST(SignalBudget, TellsStarvedAndWastedTimes) {
  const auto signals = four_times();
  const auto budgets = time_budgets(signals, {8, 0, 6, 4}, 4);
  EXPECT_EQ(budgets[0].verdict, BudgetVerdict::fair);
  EXPECT_EQ(budgets[1].verdict, BudgetVerdict::starved);
  EXPECT_EQ(budgets[2].verdict, BudgetVerdict::wasted);
  // It may be the best of all.
  EXPECT_EQ(budgets[3].verdict, BudgetVerdict::fair);
  EXPECT_EQ(budgets[2].measured, 0);
  int64_t all = 0;
  for (const auto& budget : budgets) all += budget.measured;
  EXPECT_EQ(all, 18);
  const auto words = join(signal_words(signals, budgets), "\n");
  EXPECT_NE(words.find("starved: step 1 (t 0.75) has 0"), std::string::npos)
      << words;
  EXPECT_NE(words.find("wasted: step 2 (t 0.50) has 6"), std::string::npos)
      << words;
  EXPECT_NE(words.find("steps 2 (t 0.50), 3 (t 0.25)"), std::string::npos)
      << words;
  EXPECT_EQ(words.find("pairs"), std::string::npos) << words;
}

TEST(SignalBudget, AdvisesPairsWhereTheOddPartIsSmall) {
  auto signals = four_times();
  signals[0].odd_share = {0.5, 0.02};   // below 6 / (2 x 5) by five errors
  signals[1].odd_share = {0.58, 0.02};  // by one
  const auto words =
      signal_words(signals, time_budgets(signals, {6, 6, 6, 6}, 4));
  EXPECT_NE(words.back().find("at steps 0 (t 1.00), where"), std::string::npos)
      << words.back();
}

TEST(SignalBudget, DeadTimesGetNothing) {
  auto signals = four_times();
  signals[0].signal = signals[0].noise = {0, 0};
  signals[1].signal = signals[1].noise = {NAN, NAN};
  const auto budgets = time_budgets(signals, {6, 6, 0, 0}, 4);
  EXPECT_EQ(budgets[0].measured, 0);
  EXPECT_EQ(budgets[1].measured, 0);
}

TEST(SignalTables, SayTheSameInEveryForm) {
  SignalFindings found;
  found.signals = four_times();
  found.budgets = time_budgets(found.signals, {6, 0, 6, 6}, 4);
  found.words = {"words"};
  const auto rows = signal_rows(found);
  const auto json = signal_json(found);
  ASSERT_EQ(rows.rows.size(), 4U);
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const auto& step = json["steps"][i];
    ASSERT_EQ(step.size(), rows.head.size());
    for (size_t j = 0; j < rows.head.size(); ++j) {
      const auto& value = step.at(rows.head[j]);
      const auto& cell = rows.rows[i][j];
      if (value.is_null()) {
        EXPECT_EQ(cell, "") << rows.head[j];
      } else if (value.is_number()) {
        EXPECT_NEAR(std::stod(cell), value.get<double>(), 1e-8) << rows.head[j];
      } else {
        EXPECT_EQ(cell, value.get<std::string>()) << rows.head[j];
      }
    }
  }
  EXPECT_TRUE(json["steps"][2]["noise_scale"].is_null());
  EXPECT_EQ(json["words"][0], "words");
  const auto text = signal_text(found);
  EXPECT_NE(text.find("starved"), std::string::npos) << text;
  const auto plots = signal_plots(found);
  EXPECT_EQ(plots.size(), 4U);
  for (const auto& [name, svg] : plots) {
    EXPECT_NE(svg.find("<svg"), std::string::npos) << name;
  }
}

/** A config of the shipped model, as short as can be. */
SignalRunOptions short_run(const TemporaryFolder& folder) {
  SignalRunOptions out;
  out.source = folder / "signal.yaml";
  write_file_atomic(out.source, R"(name: signal
model: models/shapes-flow
method: {name: tempflow-grpo, estimator: {branches: [4, 2, 0]}}
sampling: {steps: 3, guidance_scale: 1}
reward: jpeg-compressibility
compute: {rollout_tile: 2, train_tile: 2}
)");
  out.roots = 6;
  out.branches = 2;
  out.blocks = 3;
  return out;
}

TEST(SignalRun, MeasuresWhatTheNextEpochWouldDraw) {
  const TemporaryFolder folder;
  NoProgress silent;
  const auto options = short_run(folder);
  const auto found = measure_signal(options, silent);
  const auto again = measure_signal(options, silent);
  ASSERT_EQ(found.signals.size(), 2U);
  for (size_t i = 0; i < found.signals.size(); ++i) {
    const auto& signal = found.signals[i];
    EXPECT_GT(signal.variance.value, 0) << i;
    EXPECT_GT(signal.noise.value, 0) << i;
    EXPECT_TRUE(std::isfinite(signal.signal.value)) << i;
    // Own way, two branches to their ends, an update.
    const auto step = static_cast<int64_t>(i);
    EXPECT_EQ(signal.evaluations, step + 1 + 2 * (2 - step) + 1) << i;
    EXPECT_EQ(signal.signal.value, again.signals[i].signal.value) << i;
  }
  EXPECT_EQ(found.budgets[0].now, 4);
  EXPECT_EQ(found.budgets[1].now, 2);
}

TEST(SignalRun, RefusesWhatItCannotMeasure) {
  const TemporaryFolder folder;
  NoProgress silent;
  auto options = short_run(folder);
  options.blocks = 4;
  EXPECT_THROW(measure_signal(options, silent), UsageError);
  options.source = folder.path();  // a folder, and no run's
  EXPECT_THROW(measure_signal(options, silent), Error);
}

}  // namespace
}  // namespace rsm
