#include "rsm/report/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "rsm/base/error.h"
#include "rsm/report/comparison_warnings.h"

namespace rsm {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kTargetDecimals = 2;
constexpr int kMostDecimals = 6;

/** A number of every evaluation. */
std::vector<double> column(
    const ComparedRun& run,
    const std::function<double(const EvaluationPoint&)>& value) {
  std::vector<double> out;
  for (const auto& point : run.points) out.push_back(value(point));
  return out;
}

std::vector<double> scores_of(const ComparedRun& run,
                              const std::string& metric) {
  return column(run, [&](const auto& p) { return p.scores.metric(metric); });
}

std::string metric_of(const std::vector<ComparedRun>& runs,
                      const std::string& wanted) {
  std::set<std::string> known, reported;
  for (const auto& run : runs) {
    reported.insert(run.main_metric);
    for (const auto& point : run.points) {
      for (const auto& [name, mean] : point.scores.metrics) known.insert(name);
    }
  }
  const std::vector<std::string> names(known.begin(), known.end());
  if (wanted.empty() && reported.size() > 1) {
    throw UsageError(cat("[compare] the runs report different metrics (",
                         join({reported.begin(), reported.end()}),
                         "); say which to compare, --metric one of ",
                         join(names)));
  }
  const std::string metric = wanted.empty() ? *reported.begin() : wanted;
  if (known.count(metric) == 0) {
    throw UsageError("[compare] --metric: " + unknown_word(metric, names));
  }
  return metric;
}

RunResult ends_of(const ComparedRun& run, const std::string& metric) {
  RunResult out = {kMissing, kMissing, kMissing, kMissing, kMissing,
                   kMissing, {},       {},       kMissing};
  if (run.points.empty()) return out;
  const auto& first = run.points.front();
  out.before = first.scores.metric(metric);
  if (run.points.size() == 1) return out;
  const auto& last = run.points.back();
  out.after = last.scores.metric(metric);
  out.error = last.scores.standard_error(metric);
  out.kl = last.kl;
  out.spent = last.cost;
  const auto ratio = [&](const std::string& name) {
    const double before_it = first.scores.metric(name);
    return before_it > 0 ? last.scores.metric(name) / before_it : kMissing;
  };
  out.texture_ratio = ratio("texture");
  out.diversity_ratio = ratio("diversity");
  return out;
}

/** Halfway, with the fewest decimals that still lie between. */
double default_target(double base, double best) {
  if (!(best > base)) return kMissing;
  const double middle = (base + best) / 2;
  for (int decimals = kTargetDecimals; decimals <= kMostDecimals; ++decimals) {
    const double scale = std::pow(10.0, decimals);
    const double target = std::round(middle * scale) / scale;
    if (base < target && target < best) return target;
  }
  return middle;
}

/** A number of every run of a setting. */
template <typename Read>
Spread spread(const SettingResult& setting, const Read& read) {
  std::vector<double> values;
  for (const auto& run : setting.runs) values.push_back(read(run));
  return spread_of(std::move(values));
}

CostSpread cost_spread(const SettingResult& setting, Cost RunResult::*cost) {
  const auto of = [&](double Cost::*part) {
    return spread(setting, [&](const auto& run) { return run.*cost.*part; });
  };
  return {of(&Cost::seconds), of(&Cost::images), of(&Cost::evaluations)};
}

std::vector<double> all_runs(const Comparison& comparison,
                             double RunResult::*number) {
  std::vector<double> out;
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.runs) out.push_back(run.*number);
  }
  return out;
}

void measure_ends(SettingResult& setting, const std::string& metric) {
  for (const auto& run : setting.setting.runs) {
    setting.runs.push_back(ends_of(run, metric));
  }
  setting.before = spread(setting, [](const auto& r) { return r.before; });
  setting.after = spread(setting, [](const auto& r) { return r.after; });
  setting.gain = spread(setting, [](const auto& r) { return r.gain(); });
  setting.kl = spread(setting, [](const auto& r) { return r.kl; });
  setting.texture_ratio =
      spread(setting, [](const auto& r) { return r.texture_ratio; });
  setting.diversity_ratio =
      spread(setting, [](const auto& r) { return r.diversity_ratio; });
  setting.spent = cost_spread(setting, &RunResult::spent);
}

Cost cost_to_target(const ComparedRun& run, const std::string& metric,
                    double target) {
  if (std::isnan(target) || run.points.empty()) return {};
  const auto crossing = first_crossing(scores_of(run, metric), target);
  if (!crossing) return {kNever, kNever, kNever};
  const auto at = [&](double Cost::*cost) {
    return crossing->at(
        column(run, [&](const auto& p) { return p.cost.*cost; }));
  };
  return {at(&Cost::seconds), at(&Cost::images), at(&Cost::evaluations)};
}

void measure_milestones(SettingResult& setting, const Comparison& about) {
  for (size_t i = 0; i < setting.runs.size(); ++i) {
    const auto& run = setting.setting.runs[i];
    auto& result = setting.runs[i];
    result.to_target = cost_to_target(run, about.metric, about.target);
    result.at_kl = std::isnan(about.kl)
                       ? kMissing
                       : value_at(drift_curve(run, about.metric), about.kl);
    const auto crossing =
        first_crossing(scores_of(run, about.metric), about.target);
    if (crossing) ++setting.reached;
  }
  setting.at_kl = spread(setting, [](const auto& r) { return r.at_kl; });
  setting.to_target = cost_spread(setting, &RunResult::to_target);
}

std::string find_baseline(const Comparison& comparison,
                          const std::string& wanted) {
  std::vector<std::string> labels;
  std::string slowest;
  double longest = -1;
  for (const auto& setting : comparison.settings) {
    labels.push_back(setting.label());
    const double median = setting.to_target.seconds.median;
    if (std::isfinite(median) && median > longest) {
      longest = median;
      slowest = setting.label();
    }
  }
  if (wanted.empty()) return slowest;
  if (std::find(labels.begin(), labels.end(), wanted) == labels.end()) {
    throw UsageError("[compare] --baseline: " + unknown_word(wanted, labels));
  }
  return wanted;
}

void measure_speed(Comparison& comparison) {
  double slow = kMissing;
  for (const auto& setting : comparison.settings) {
    if (setting.label() != comparison.baseline) continue;
    slow = setting.to_target.seconds.median;
  }
  for (auto& setting : comparison.settings) {
    const double ratio = slow / setting.to_target.seconds.median;
    setting.sooner = std::isfinite(ratio) && ratio > 0 ? ratio : kMissing;
  }
}

/** Best first; those without a result last. */
bool better(const SettingResult& a, const SettingResult& b) {
  const double x = a.after.mean, y = b.after.mean;
  if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
  if (x != y && !std::isnan(x)) return x > y;
  return a.label() < b.label();
}

}  // namespace

Curve cost_curve(const ComparedRun& run, double Cost::*cost,
                 const std::string& metric) {
  return {column(run, [&](const auto& p) { return p.cost.*cost; }),
          scores_of(run, metric)};
}

Curve drift_curve(const ComparedRun& run, const std::string& metric) {
  return {column(run, [](const auto& p) { return p.kl; }),
          scores_of(run, metric)};
}

Comparison compare_runs(std::vector<ComparedRun> runs,
                        const ComparisonOptions& options) {
  RSM_CHECK(!runs.empty(), "[compare] no run arrived; it takes at least one");
  Comparison out;
  out.metric = metric_of(runs, options.metric);
  for (auto& setting : group_settings(std::move(runs))) {
    SettingResult result;
    result.setting = std::move(setting);
    measure_ends(result, out.metric);
    out.settings.push_back(std::move(result));
  }
  std::sort(out.settings.begin(), out.settings.end(), better);
  const double base = spread_of(all_runs(out, &RunResult::before)).mean;
  const double best = out.settings.front().after.mean;
  out.target = options.target.value_or(default_target(base, best));
  out.kl = options.kl.value_or(spread_of(all_runs(out, &RunResult::kl)).low);
  for (auto& setting : out.settings) measure_milestones(setting, out);
  out.baseline = find_baseline(out, options.baseline);
  measure_speed(out);
  out.warnings = comparison_warnings(out);
  return out;
}

}  // namespace rsm
