#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/analysis/signal_budget.h"
#include "rsm/analysis/time_signal.h"
#include "rsm/plot/text_table.h"

namespace rsm {

/** All that `rsm analyze signal` found. Lists are one entry a step. */
struct SignalFindings {
  std::vector<TimeSignal> signals;
  std::vector<TimeBudget> budgets;
  std::vector<std::string> words;
};

/** For programs: a row a step, numbers as they are; no number: empty. */
report::TextTable signal_rows(const SignalFindings& found);
/** The same: {"steps": [{"step": 0, ...}], "words": [...]}; no number: null. */
nlohmann::json signal_json(const SignalFindings& found);
/** For people: numbers with their errors, and the words. */
std::string signal_text(const SignalFindings& found);
/** SVGs by file name: rewards, gradients and budgets by time; "" where there is
 * nothing to draw. */
std::map<std::string, std::string> signal_plots(const SignalFindings& found);

}  // namespace rsm
