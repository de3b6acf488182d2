#include "rsm/analysis/strength_curves.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "rsm/base/error.h"
#include "rsm/methods/names.h"
#include "rsm/methods/profiles.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/rollouts/plan.h"

namespace rsm {
namespace {

constexpr size_t kColors = 5;  ///< of the palette, without grey
constexpr size_t kDashes = 3;
constexpr int kFactorDigits = 12;

StrengthCurve curve_of(const Method& entry, const Path& path,
                       const StrengthOptions& options) {
  if (!entry.is_for(path.family())) {
    throw UsageError(cat("[strength] ", entry.name, " is for ",
                         to_string(entry.family),
                         " models, this schedule is of the family ",
                         to_string(path.family()), "; see `rsm methods`"));
  }
  const auto method = with_draws(
      fitted(for_family(entry, path.family()), options.steps), options.steps);
  const auto kind = method.estimator.noise;
  const bool is_given = options.noise.level > 0 && options.noise.kind == kind;
  const StepNoise usual = {.kind = kind,
                           .level = usual_level(kind, path.family())};
  const auto noise = is_given ? options.noise : usual;
  const auto plan = make_plan(method, options.steps, noise);
  return {method.name, factors_by_time(method, plan.transitions(path))};
}

std::string factor_cell(double value) {
  return report::format_digits(value, kFactorDigits);
}

std::vector<double> times_of(const StrengthCurve& curve) {
  std::vector<double> out;
  for (const auto& at : curve.at) out.push_back(at.t);
  return out;
}

using NumbersOf = std::function<std::vector<double>(const StrengthCurve&)>;

std::string plot_of(const std::vector<StrengthCurve>& curves,
                    const std::string& what, const StrengthOptions& options,
                    const NumbersOf& numbers_of) {
  report::LinePlot plot;
  plot.title = what + " by time";
  plot.description = plot.title + ", one line a method";
  plot.x_label = "t (1 is noise)";
  plot.reached = {0};
  for (size_t i = 0; i < curves.size(); ++i) {
    plot.series.push_back(
        {.name = curves[i].name,
         .x = times_of(curves[i]),
         .y = normalised(numbers_of(curves[i]), options.normalised),
         .color = 1 + static_cast<int>(i % kColors),
         .dash = static_cast<int>(i / kColors % kDashes)});
  }
  return report::line_plot(plot);
}

}  // namespace

std::vector<StrengthCurve> strength_curves(const std::vector<Method>& methods,
                                           const Path& path,
                                           const StrengthOptions& options) {
  std::vector<StrengthCurve> out;
  for (const auto& method : methods) {
    out.push_back(curve_of(method, path, options));
  }
  return out;
}

std::vector<double> normalised(const std::vector<double>& values,
                               Normalised kind) {
  double largest = 0, sum = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    largest = std::max(largest, value);
    sum += value;
  }
  const double unit = kind == Normalised::max   ? largest
                      : kind == Normalised::sum ? sum
                                                : 1;
  auto out = values;
  for (double& value : out) value = unit == 0 ? value : value / unit;
  return out;
}

std::vector<double> pull_of(const StrengthCurve& curve, PullForm form) {
  std::vector<double> out;
  for (const auto& at : curve.at) {
    out.push_back(form == PullForm::relative ? at.c2_relative : at.c2);
  }
  return out;
}

std::vector<double> h_of(const StrengthCurve& curve) {
  std::vector<double> out;
  for (const auto& at : curve.at) out.push_back(at.h);
  return out;
}

report::TextTable strength_table(const std::vector<StrengthCurve>& curves,
                                 const StrengthOptions& options) {
  report::TextTable table;
  table.head = {
      "method",        "step", "t",     "K",  "g",           "h",
      "h_normalised",  "C1",   "gamma", "C2", "C2_relative", "C2_normalised",
      "clip_log_ratio"};
  for (const auto& curve : curves) {
    const auto h = normalised(h_of(curve), options.normalised);
    const auto pull =
        normalised(pull_of(curve, options.pull), options.normalised);
    for (size_t i = 0; i < curve.at.size(); ++i) {
      const auto& at = curve.at[i];
      table.rows.push_back({curve.name, cat(at.step), factor_cell(at.t),
                            cat(at.rows), factor_cell(at.g), factor_cell(at.h),
                            factor_cell(h[i]), factor_cell(at.c1),
                            factor_cell(at.gamma), factor_cell(at.c2),
                            factor_cell(at.c2_relative), factor_cell(pull[i]),
                            factor_cell(at.clip)});
    }
  }
  return table;
}

std::string strength_plot(const std::vector<StrengthCurve>& curves,
                          const StrengthOptions& options) {
  return plot_of(curves, "Guidance strength h(t)", options, h_of);
}

std::string pull_plot(const std::vector<StrengthCurve>& curves,
                      const StrengthOptions& options) {
  const bool relative = options.pull == PullForm::relative;
  return plot_of(
      curves,
      relative ? "Pull to the old policy, C2/C1" : "Pull to the old policy, C2",
      options,
      [&](const StrengthCurve& curve) { return pull_of(curve, options.pull); });
}

}  // namespace rsm
