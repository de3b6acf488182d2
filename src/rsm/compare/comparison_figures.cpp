#include <algorithm>
#include <cmath>
#include <functional>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_page.h"
#include "rsm/compare/comparison_tables.h"
#include "rsm/compare/pareto.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"

namespace rsm::report {
namespace {

constexpr size_t kColors = 5;         ///< of the palette, without grey
constexpr size_t kLabelLetters = 22;  ///< of a name beside a plot

using CurveOf = std::function<Curve(const ComparedRun&)>;

TimeUnit time_unit_of(const Comparison& comparison) {
  double longest = 0;
  for (const auto& setting : comparison.settings) {
    const double spent = setting.spent.seconds.high;
    if (std::isfinite(spent)) longest = std::max(longest, spent);
  }
  return time_unit(longest);
}

PlotSeries series_of(const Curve& curve, size_t setting) {
  return {.x = curve.x,
          .y = curve.y,
          .color = color_of(setting),
          .dash = dash_of(setting)};
}

/** The seeds' own curves, thin; over them their mean, which has the name. */
void add_setting(const SettingResult& result, size_t index,
                 const std::string& name, const CurveOf& curve_of,
                 LinePlot& plot) {
  std::vector<Curve> curves;
  for (const auto& run : result.setting.runs) curves.push_back(curve_of(run));
  if (curves.size() > 1) {
    for (const auto& curve : curves) {
      plot.series.push_back(series_of(curve, index));
      plot.series.back().thin = true;
      plot.series.back().points = false;
    }
  }
  auto main =
      series_of(curves.size() > 1 ? mean_curve(curves) : curves[0], index);
  main.name = name;
  main.points = curves.size() == 1;
  plot.series.push_back(std::move(main));
}

std::string score_plot(const Comparison& comparison, const std::string& x_label,
                       const CurveOf& curve_of) {
  LinePlot plot;
  plot.title = cat("Held-out ", comparison.metric, " score against ", x_label);
  plot.description = plot.title + ", one line a setting";
  plot.x_label = x_label;
  const auto names = short_names(comparison, kLegendLetters);
  for (size_t i = 0; i < names.size(); ++i) {
    add_setting(comparison.settings[i], i, names[i], curve_of, plot);
  }
  if (std::isfinite(comparison.target)) {
    plot.guides = {{comparison.target, cat("target ", comparison.target)}};
  }
  return line_plot(plot);
}

std::string cost_plot(const Comparison& comparison, double Cost::*cost,
                      const std::string& x_label, double unit = 1) {
  return score_plot(comparison, x_label, [&, unit](const ComparedRun& run) {
    auto curve = cost_curve(run, cost, comparison.metric);
    for (double& x : curve.x) x /= unit;
    return curve;
  });
}

std::string drift_plot(const Comparison& comparison) {
  return score_plot(comparison, "KL per latent element",
                    [&](const ComparedRun& run) {
                      return drift_curve(run, comparison.metric);
                    });
}

using NumberOf = std::function<double(const RunResult&)>;

/** One row a setting, one dot a run, a bar at their middle. */
std::string seed_plot(
    const Comparison& comparison, LinePlot plot, const NumberOf& number_of,
    const std::function<double(const SettingResult&)>& middle,
    const std::function<std::string(const SettingResult&)>& text) {
  const auto names = short_names(comparison, kLabelLetters);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& setting = comparison.settings[i];
    PlotSeries dots = {.color = color_of(i), .shape = PlotSeries::Shape::dots};
    for (const auto& run : setting.runs) dots.x.push_back(number_of(run));
    dots.y.resize(dots.x.size(), static_cast<double>(i));
    auto bar = dots;
    bar.x = {middle(setting)};
    bar.shape = PlotSeries::Shape::bars;
    plot.rows.push_back({0, names[i], text(setting)});
    plot.series.push_back(std::move(dots));
    plot.series.push_back(std::move(bar));
  }
  return line_plot(plot);
}

std::string target_plot(const Comparison& comparison) {
  const auto unit = time_unit_of(comparison);
  LinePlot plot;
  plot.title = "Training time to the target";
  plot.description = cat("Training time until ", comparison.metric, " reached ",
                         cat(comparison.target), ", one dot a run");
  plot.x_label = cat(unit.name, " of training");
  plot.reached = {0};
  return seed_plot(
      comparison, plot,
      [&](const RunResult& run) {
        return run.to_target.seconds / unit.seconds;
      },
      [&](const SettingResult& setting) {
        return setting.to_target.seconds.median / unit.seconds;
      },
      [](const SettingResult& setting) {
        const double median = setting.to_target.seconds.median;
        return std::isinf(median) ? "never" : format_duration(median);
      });
}

std::string equal_drift_plot(const Comparison& comparison) {
  LinePlot plot;
  plot.title = cat("Held-out ", comparison.metric, " score at equal drift");
  plot.description = cat(plot.title, ", one dot a run");
  plot.x_label = comparison.metric;
  return seed_plot(
      comparison, plot, [](const RunResult& run) { return run.at_kl; },
      [](const SettingResult& setting) { return setting.at_kl.mean; },
      [](const SettingResult& setting) {
        return format_fixed(setting.at_kl.mean, 3);
      });
}

}  // namespace

int color_of(size_t setting) { return 1 + static_cast<int>(setting % kColors); }

int dash_of(size_t setting) { return static_cast<int>(setting / kColors % 3); }

std::vector<ComparisonFigure> comparison_figures(const Comparison& comparison) {
  const auto unit = time_unit_of(comparison);
  std::vector<ComparisonFigure> all = {
      {"compare-time.svg", "Score by training time",
       "training alone, without evaluations: the honest clock",
       cost_plot(comparison, &Cost::seconds, cat(unit.name, " of training"),
                 unit.seconds)},
      {"compare-images.svg", "Score by pictures", "sampled for training",
       cost_plot(comparison, &Cost::images, "pictures")},
      {"compare-evaluations.svg", "Score by network evaluations",
       "for training, by sample; text guidance counted once",
       cost_plot(comparison, &Cost::evaluations, "network evaluations")},
      {"compare-kl.svg", "Score by drift",
       "steeper is better: more score for less change", drift_plot(comparison)},
      {"compare-target.svg", cat("Time to ", comparison.target),
       "one dot a run, a bar at the median", target_plot(comparison)},
      {"compare-equal-kl.svg",
       "Score at a drift of " + format_short(comparison.kl),
       "one dot a run, a bar at the mean", equal_drift_plot(comparison)},
      {"compare-front.svg", "What score costs in drift",
       "a dot a setting and epoch, means over seeds; the line: no other has "
       "more for less",
       drift_front_plot(comparison)},
      {"compare-loss.svg", "What score costs in the pictures",
       "the same against the largest loss of what nobody optimises",
       loss_front_plot(comparison)}};
  std::erase_if(all, [](const auto& figure) { return figure.svg.empty(); });
  return all;
}

}  // namespace rsm::report
