// Figure 2 (b) and (c), drawn again.

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "rsm/analysis/estimator_tables.h"
#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/worlds/three_modes.h"

namespace rsm {
namespace {

using Errors = std::vector<EstimatorError>;
using report::LinePlot;
using report::PlotSeries;

/** How one estimator is drawn. */
struct Look {
  std::string label;
  std::string name;  ///< in the legend
  int color = 1;
  int dash = 0;
};

/** A plot of some estimators: over K, or over network evaluations. */
struct Panel {
  std::string file;
  std::string title;
  bool by_evaluations = true;
  std::vector<Look> looks = {};
  std::vector<std::string> guides = {};  ///< estimators without samples
};

using Ticks = std::vector<report::PlotTick>;

/** The least and the largest of `numbers` that can be drawn; the first is the
 * larger one where there is none. */
std::pair<double, double> reach(const std::vector<double>& numbers) {
  std::pair<double, double> out = {INFINITY, -INFINITY};
  for (const double number : numbers) {
    if (!report::can_plot(number)) continue;
    out.first = std::min(out.first, number);
    out.second = std::max(out.second, number);
  }
  return out;
}

/** At powers of 2, about six of them; of their logarithms. */
Ticks power_ticks(const std::vector<double>& logarithms) {
  const auto [low, high] = reach(logarithms);
  Ticks out;
  if (!(low <= high)) return out;
  constexpr int64_t kWanted = 6;
  const auto first = static_cast<int64_t>(std::ceil(low));
  const auto last = static_cast<int64_t>(std::floor(high));
  const int64_t apart =
      std::max<int64_t>(1, (last - first + kWanted) / kWanted);
  for (int64_t power = first; power <= last; power += apart) {
    out.push_back({static_cast<double>(power), cat("2^", power), ""});
  }
  return out;
}

/** At 1 and 3 times powers of ten, around all errors; of their logarithms. */
Ticks error_ticks(const std::vector<double>& logarithms) {
  const auto [low, high] = reach(logarithms);
  Ticks out;
  if (!(low <= high)) return out;
  const auto place = [](int64_t half_decade) {
    return std::floor(0.5 * static_cast<double>(half_decade)) +
           (half_decade % 2 == 0 ? 0 : std::log10(3.0));
  };
  auto i = 2 * static_cast<int64_t>(std::floor(low));
  if (place(i + 1) <= low) ++i;
  for (; out.empty() || out.back().at < high; ++i) {
    const double at = place(i);
    out.push_back({at, report::format_short(std::pow(10, at)), ""});
  }
  return out;
}

void set_ticks(LinePlot& plot) {
  std::vector<double> x, y;
  for (const auto& series : plot.series) {
    x.insert(x.end(), series.x.begin(), series.x.end());
    y.insert(y.end(), series.y.begin(), series.y.end());
  }
  for (const auto& guide : plot.guides) y.push_back(guide.y);
  plot.x_ticks = power_ticks(x);
  plot.y_ticks = error_ticks(y);
}

PlotSeries series_of(const std::vector<const EstimatorError*>& errors,
                     const Look& look, bool by_evaluations) {
  PlotSeries out;
  out.name = look.name;
  out.color = look.color;
  out.dash = look.dash;
  for (const auto* error : errors) {
    if (error->estimator.label() != look.label) continue;
    const auto x = by_evaluations ? error->evaluations : error->samples;
    out.x.push_back(std::log2(static_cast<double>(x)));
    out.y.push_back(std::log10(error->rmse));
    // d log10 r = d r / (r ln 10)
    out.error.push_back(error->rmse_se / (error->rmse * std::log(10.0)));
  }
  return out;
}

std::string drawn(const Panel& panel,
                  const std::vector<const EstimatorError*>& errors,
                  const std::string& setting) {
  LinePlot plot;
  plot.title = panel.title + ", " + setting;
  plot.description =
      "RMSE to the exact value gradient, both axes logarithmic; straight lines "
      "of slope -1/2 are sampling noise, level ones bias";
  plot.x_label = panel.by_evaluations ? "RMSE by network evaluations"
                                      : "RMSE by samples K";
  for (const auto& look : panel.looks) {
    auto series = series_of(errors, look, panel.by_evaluations);
    if (!series.x.empty()) plot.series.push_back(std::move(series));
  }
  if (plot.series.empty()) return "";
  for (const auto* error : errors) {
    const auto label = error->estimator.label();
    if (std::find(panel.guides.begin(), panel.guides.end(), label) !=
        panel.guides.end()) {
      plot.guides.push_back({std::log10(error->rmse), label});
    }
  }
  set_ticks(plot);
  return report::line_plot(plot);
}

/** FO and LA0 at every depth there is. */
std::vector<Look> lookahead_looks(
    const std::vector<const EstimatorError*>& errors) {
  std::vector<Look> out = {{"GRPO", "GRPO", 0, 0}};
  std::map<std::string, int> dashes;  // so far
  for (const auto* error : errors) {
    const auto& estimator = error->estimator;
    const auto label = estimator.label();
    const bool drawn =
        std::any_of(out.begin(), out.end(),
                    [&](const Look& look) { return look.label == label; });
    if (!estimator.lookahead || drawn) continue;
    const int color = estimator.name == "LA0"  ? 1
                      : estimator.name == "FO" ? 2
                                               : 3;
    out.push_back({label, label, color, dashes[estimator.name]++ % 3});
  }
  return out;
}

}  // namespace

std::vector<EstimatorPlot> estimator_plots(const Errors& errors,
                                           ToyPolicy policy, int64_t timestep) {
  std::vector<const EstimatorError*> some;
  for (const auto& error : errors) {
    if (error.policy == policy && error.timestep == timestep &&
        (error.omega == ToyOmega::step || error.omega == ToyOmega::none)) {
      some.push_back(&error);
    }
  }
  const std::vector<Panel> panels = {
      {"samples",
       "Rewards times noise",
       false,
       {{"PPO", "PPO", 1, 0}, {"GRPO", "GRPO", 2, 0}},
       {"DPS", "SQDF2"}},
      {"lookahead", "Lookahead", true, lookahead_looks(some), {"DPS"}},
      {"trees",
       "Trees",
       true,
       {{"BRANCH 1x1", "1 x 1 (GRPO)", 0, 0},
        {"BRANCH 2x2", "2 x 2", 1, 0},
        {"BRANCH 3x2", "3 x 2", 2, 0},
        {"BRANCH 4x2", "4 x 2", 3, 0},
        {"BRANCH 2x4", "2 x 4", 4, 0}}},
      {"mixed",
       "SDE and ODE",
       true,
       {{"GRPO", "SDE", 0, 0},
        {"MIX 1", "SDE & ODE, 1 step", 1, 0},
        {"MIX 4", "SDE & ODE, 4 steps", 2, 0}}},
      {"soft",
       "Hard and soft returns",
       true,
       {{"GRPO", "GRPO, hard", 0, 0},
        {"SOFTRETURN", "GRPO, soft", 1, 0},
        {"EXPREWARD", "GRPO, exponential", 1, 1},
        {"FOSOFT", "first order, soft", 2, 0}},
       {"DPS"}}};
  const auto alpha_bar = ThreeModes::alpha_bars()[timestep];
  const auto setting = cat(to_string(policy), " policy, alpha_bar ",
                           report::format_short(alpha_bar));
  std::vector<EstimatorPlot> out;
  for (const auto& panel : panels) {
    out.push_back(
        {cat(panel.file, "-t", timestep, "-", to_string(policy), ".svg"),
         drawn(panel, some, setting)});
  }
  return out;
}

}  // namespace rsm
