#include "rsm/analysis/signal_budget.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "rsm/base/error.h"
#include "rsm/data/certainty.h"
#include "rsm/methods/branch_budget.h"
#include "rsm/plot/format.h"

namespace rsm {
namespace {

/** Less is no reason to change a budget. */
constexpr double kFactor = 1.5;
constexpr int64_t kDifference = 2;

bool is_seen(const Measured& number) {
  return number.value > kSureErrors * number.error;
}

/** A step whose signal is so many errors from what was measured. */
StepWorth worth_of(const TimeSignal& signal, double errors) {
  const auto& [value, error] = signal.signal;
  StepWorth out{value + (errors == 0 ? 0 : errors * error),
                signal.noise.value * static_cast<double>(signal.branches),
                static_cast<double>(signal.branch_evaluations), signal.spread};
  // Where every group is dead nothing is known, and nothing learnt.
  if (!(out.signal > 0) || !(out.noise > 0)) {
    return {.signal = 0, .noise = 1, .cost = out.cost};
  }
  return out;
}

bool is_far_above(int64_t more, int64_t less) {
  return more - less >= kDifference &&
         static_cast<double>(more) >= kFactor * static_cast<double>(less);
}

std::string named(const TimeSignal& signal) {
  return cat(signal.step, " (t ", report::format_fixed(signal.t, 2), ")");
}

std::string steps_text(const std::vector<TimeSignal>& signals,
                       const std::function<bool(size_t)>& is_meant) {
  std::vector<std::string> out;
  for (size_t i = 0; i < signals.size(); ++i) {
    if (is_meant(i)) out.push_back(named(signals[i]));
  }
  return join(out, ", ");
}

/** "Starved: step 0 (t 1.00) has 0 branches, and would have 8." of each. */
void say_verdicts(std::vector<std::string>& said,
                  const std::vector<TimeSignal>& signals,
                  const std::vector<TimeBudget>& budgets, BudgetVerdict verdict,
                  const std::string& word) {
  for (size_t i = 0; i < signals.size(); ++i) {
    if (budgets[i].verdict != verdict) continue;
    said.push_back(cat(word, ": step ", named(signals[i]), " has ",
                       budgets[i].now, " branches; its signal is worth ",
                       budgets[i].measured));
  }
}

}  // namespace

std::string to_string(BudgetVerdict verdict) {
  switch (verdict) {
    case BudgetVerdict::starved:
      return "starved";
    case BudgetVerdict::wasted:
      return "wasted";
    case BudgetVerdict::fair:
      break;
  }
  return "fair";
}

std::vector<TimeBudget> time_budgets(const std::vector<TimeSignal>& signals,
                                     const std::vector<int64_t>& branches,
                                     double roots) {
  std::vector<StepWorth> worth;
  for (const auto& signal : signals) worth.push_back(worth_of(signal, 0));
  const double cost = budget_cost(worth, branches);
  const auto measured = branch_budget(worth, cost, roots);
  /** Of a step, with its own signal so many errors away. */
  const auto moved = [&](size_t i, double errors) {
    auto others = worth;
    others[i] = worth_of(signals[i], errors);
    return branch_budget(others, cost, roots)[i];
  };
  std::vector<TimeBudget> out;
  for (size_t i = 0; i < signals.size(); ++i) {
    TimeBudget one{branches[i], measured[i]};
    if (is_far_above(one.measured, one.now) &&
        is_far_above(moved(i, -kSureErrors), one.now)) {
      one.verdict = BudgetVerdict::starved;
    } else if (is_far_above(one.now, one.measured) &&
               is_far_above(one.now, moved(i, kSureErrors))) {
      one.verdict = BudgetVerdict::wasted;
    }
    out.push_back(one);
  }
  return out;
}

std::vector<std::string> signal_words(const std::vector<TimeSignal>& signals,
                                      const std::vector<TimeBudget>& budgets) {
  std::vector<std::string> said;
  say_verdicts(said, signals, budgets, BudgetVerdict::starved, "starved");
  say_verdicts(said, signals, budgets, BudgetVerdict::wasted, "wasted");
  if (said.empty()) {
    said.emplace_back(
        "no step is plainly starved or wasted, as far as these roots tell");
  }
  const auto unseen = steps_text(
      signals, [&](size_t i) { return !is_seen(signals[i].signal); });
  if (!unseen.empty()) {
    said.push_back(cat("no signal is seen beyond two errors at steps ", unseen,
                       ": there is little, or more --roots would show it"));
  }
  const auto paired = steps_text(signals, [&](size_t i) {
    const auto k = static_cast<double>(signals[i].branches);
    const auto& [share, error] = signals[i].odd_share;
    // K/2 pairs have the noise odd / (K/2), K siblings variance / (K - 1).
    return share + kSureErrors * error < k / (2 * (k - 1));
  });
  if (!paired.empty()) {
    said.push_back(
        cat("pairs of opposite noise would be less noisy than "
            "independent siblings at steps ",
            paired, ", where the odd part is small"));
  }
  return said;
}

}  // namespace rsm
