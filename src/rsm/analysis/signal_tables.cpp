#include "rsm/analysis/signal_tables.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"

namespace rsm {
namespace {

constexpr int kDigits = 9;  ///< of numbers for programs

using Numbers = std::vector<std::pair<std::string, double>>;

/** A step's columns. */
Numbers numbers_of(const TimeSignal& signal, const TimeBudget& budget) {
  Numbers out = {{"step", static_cast<double>(signal.step)},
                 {"t", signal.t},
                 {"branches", static_cast<double>(budget.now)},
                 {"branches_measured", static_cast<double>(budget.measured)},
                 {"siblings", static_cast<double>(signal.branches)}};
  const auto add = [&](const std::string& name, const Measured& number) {
    out.emplace_back(name, number.value);
    out.emplace_back(name + "_se", number.error);
  };
  add("variance", signal.variance);
  add("odd", signal.odd);
  add("odd_share", signal.odd_share);
  add("signal", signal.signal);
  add("noise", signal.noise);
  add("noise_scale", signal.noise_scale);
  out.emplace_back("evaluations", static_cast<double>(signal.evaluations));
  out.emplace_back("branch_evaluations",
                   static_cast<double>(signal.branch_evaluations));
  out.emplace_back("draw_s", signal.draw_seconds);
  out.emplace_back("reward_s", signal.reward_seconds);
  out.emplace_back("update_s", signal.update_seconds);
  return out;
}

std::string measured_text(const Measured& number) {
  return cat(report::format_short(number.value), " ± ",
             report::format_short(number.error));
}

report::TextTable table_of(const SignalFindings& found) {
  report::TextTable out;
  out.head = {"step",     "t",         "K now",  "K measured",
              "variance", "odd share", "signal", "noise scale",
              "evals",    "seconds",   ""};
  for (size_t i = 0; i < found.signals.size(); ++i) {
    const auto& signal = found.signals[i];
    const auto& budget = found.budgets[i];
    out.rows.push_back(
        {cat(signal.step), report::format_fixed(signal.t, 3), cat(budget.now),
         cat(budget.measured), measured_text(signal.variance),
         measured_text(signal.odd_share), measured_text(signal.signal),
         measured_text(signal.noise_scale), cat(signal.evaluations),
         report::format_short(signal.draw_seconds + signal.reward_seconds +
                              signal.update_seconds),
         budget.verdict == BudgetVerdict::fair ? ""
                                               : to_string(budget.verdict)});
  }
  return out;
}

/** A number by time, with what it may be off by. */
report::PlotSeries series_of(const std::vector<TimeSignal>& signals,
                             const std::string& name, int color,
                             Measured TimeSignal::*number) {
  report::PlotSeries out = {.name = name, .color = color};
  for (const auto& signal : signals) {
    out.x.push_back(signal.t);
    out.y.push_back((signal.*number).value);
    out.error.push_back((signal.*number).error);
  }
  return out;
}

std::string plot_of(const std::string& title,
                    std::vector<report::PlotSeries> series) {
  report::LinePlot plot;
  plot.title = title;
  plot.description = title + ", with standard errors over roots";
  plot.x_label = "t (1 is noise)";
  plot.series = std::move(series);
  plot.reached = {0};
  return report::svg_file(report::line_plot(plot));
}

}  // namespace

report::TextTable signal_rows(const SignalFindings& found) {
  report::TextTable out;
  for (size_t i = 0; i < found.signals.size(); ++i) {
    std::vector<std::string> names, cells;
    for (const auto& [name, value] :
         numbers_of(found.signals[i], found.budgets[i])) {
      names.push_back(name);
      cells.push_back(report::format_digits(value, kDigits));
    }
    names.emplace_back("verdict");
    cells.push_back(to_string(found.budgets[i].verdict));
    out.head = std::move(names);
    out.rows.push_back(std::move(cells));
  }
  return out;
}

nlohmann::json signal_json(const SignalFindings& found) {
  auto steps = nlohmann::json::array();
  for (size_t i = 0; i < found.signals.size(); ++i) {
    nlohmann::json step;
    for (const auto& [name, value] :
         numbers_of(found.signals[i], found.budgets[i])) {
      step[name] = finite_or_null(value);
    }
    step["verdict"] = to_string(found.budgets[i].verdict);
    steps.push_back(std::move(step));
  }
  return {{"steps", std::move(steps)}, {"words", found.words}};
}

std::string signal_text(const SignalFindings& found) {
  return cat(report::plain_signs(report::table_text(table_of(found))), "\n",
             join(found.words, "\n"), "\n");
}

std::map<std::string, std::string> signal_plots(const SignalFindings& found) {
  const auto& signals = found.signals;
  report::PlotSeries now = {.name = "now", .color = 1};
  report::PlotSeries measured = {.name = "by measurement", .color = 2};
  for (size_t i = 0; i < signals.size(); ++i) {
    now.x.push_back(signals[i].t);
    now.y.push_back(static_cast<double>(found.budgets[i].now));
    measured.x.push_back(signals[i].t);
    measured.y.push_back(static_cast<double>(found.budgets[i].measured));
  }
  return {{"signal-rewards.svg",
           plot_of("Variance of siblings' rewards by time",
                   {series_of(signals, "all", 1, &TimeSignal::variance),
                    series_of(signals, "odd part", 2, &TimeSignal::odd)})},
          {"signal-gradient.svg",
           plot_of("Squared norm of the mean gradient by time",
                   {series_of(signals, "signal", 1, &TimeSignal::signal)})},
          {"signal-noise-scale.svg",
           plot_of("Gradient noise scale by time, in roots",
                   {series_of(signals, "noise over signal", 1,
                              &TimeSignal::noise_scale)})},
          {"signal-budget.svg",
           plot_of("Branches by time", {std::move(now), std::move(measured)})}};
}

}  // namespace rsm
