#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/analysis/time_signal.h"

namespace rsm {

/** Whether a step has the branches that its signal is worth. */
enum class BudgetVerdict { fair, starved, wasted };
std::string to_string(BudgetVerdict verdict);

/** What a step has, and what branch_budget() would give it for as many network
 * evaluations in branches. */
struct TimeBudget {
  int64_t now = 0, measured = 0;
  /** starved, wasted: by half or more, and by 2 branches or more, also where
   * the step's signal is two errors lower, or higher. */
  BudgetVerdict verdict = BudgetVerdict::fair;
};

/** `branches` [steps] is K_i of the run, `roots` how many an update has. */
std::vector<TimeBudget> time_budgets(const std::vector<TimeSignal>& signals,
                                     const std::vector<int64_t>& branches,
                                     double roots);

/** What the numbers say, a sentence a line. */
std::vector<std::string> signal_words(const std::vector<TimeSignal>& signals,
                                      const std::vector<TimeBudget>& budgets);

}  // namespace rsm
