#include "rsm/compare/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <set>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_warnings.h"
#include "rsm/data/certainty.h"

namespace rsm::report {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr int kTargetDecimals = 2;
constexpr int kMostDecimals = 6;

/** A number of every evaluation. */
std::vector<double> column(
    const ComparedRun& run,
    const std::function<double(const EpochRecord&)>& value) {
  std::vector<double> out;
  for (const auto* line : run.evaluated()) out.push_back(value(*line));
  return out;
}

std::vector<double> scores_of(const ComparedRun& run,
                              const std::string& metric) {
  return column(run, [&](const EpochRecord& line) {
    return line.evaluation->all.metric(metric);
  });
}

std::set<std::string> known_metrics(const std::vector<ComparedRun>& runs) {
  std::set<std::string> known;
  for (const auto& run : runs) known.merge(metrics_of(run));
  return known;
}

std::string metric_of(const std::vector<ComparedRun>& runs,
                      const std::string& wanted) {
  const auto known = known_metrics(runs);
  std::set<std::string> reported;
  for (const auto& run : runs) reported.insert(run.main_metric);
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

/** What runs watch and at least one of them knows; diversity last. */
std::vector<std::string> watched_of(const std::vector<ComparedRun>& runs) {
  const auto known = known_metrics(runs);
  std::set<std::string> watched;
  for (const auto& run : runs) {
    watched.insert(run.watched.begin(), run.watched.end());
  }
  std::vector<std::string> out(watched.begin(), watched.end());
  out.emplace_back("diversity");
  std::erase_if(out, [&](const auto& name) { return !known.contains(name); });
  return out;
}

RunResult ends_of(const ComparedRun& run, const Comparison& about) {
  const auto& metric = about.metric;
  RunResult out;
  for (const auto& name : about.watched) {
    out.watched.push_back({name, kMissing});
  }
  const auto points = run.evaluated();
  if (points.empty()) return out;
  const auto& first = points.front()->evaluation->all;
  out.before = first.metric(metric);
  if (points.size() == 1) return out;
  const auto& last = points.back()->evaluation->all;
  out.after = last.metric(metric);
  out.error = last.error(metric);
  out.gain_error = last.change_error(metric);
  out.kl = points.back()->evaluation->kl;
  out.spent = points.back()->cost();
  for (auto& watched : out.watched) {
    const auto& name = watched.name;
    watched = watched_change(
        name, {first.metric(name), last.metric(name), last.change_error(name)});
  }
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
SeedStatistics over_seeds(const SettingResult& setting, const Read& read) {
  std::vector<double> values;
  for (const auto& run : setting.runs) values.push_back(read(run));
  return statistics_of(std::move(values));
}

CostStatistics cost_statistics(const SettingResult& setting,
                               Cost RunResult::*cost) {
  const auto of = [&](double Cost::*part) {
    return over_seeds(setting,
                      [&](const auto& run) { return run.*cost.*part; });
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

void measure_ends(SettingResult& setting, const Comparison& about) {
  for (const auto& run : setting.setting.runs) {
    setting.runs.push_back(ends_of(run, about));
  }
  setting.before = over_seeds(setting, [](const auto& r) { return r.before; });
  setting.after = over_seeds(setting, [](const auto& r) { return r.after; });
  setting.gain = over_seeds(setting, [](const auto& r) { return r.gain(); });
  setting.kl = over_seeds(setting, [](const auto& r) { return r.kl; });
  for (size_t i = 0; i < about.watched.size(); ++i) {
    setting.watched.push_back(
        over_seeds(setting, [&](const auto& r) { return r.watched[i].ratio; }));
  }
  setting.spent = cost_statistics(setting, &RunResult::spent);
}

Cost cost_to_target(const ComparedRun& run, const std::string& metric,
                    double target) {
  if (std::isnan(target) || run.evaluated().empty()) return {};
  const auto crossing = first_crossing(scores_of(run, metric), target);
  if (!crossing) return {kNever, kNever, kNever};
  const auto at = [&](double Cost::*cost) {
    return crossing->at(cost_curve(run, cost, metric).x);
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
  setting.at_kl = over_seeds(setting, [](const auto& r) { return r.at_kl; });
  setting.to_target = cost_statistics(setting, &RunResult::to_target);
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

/** Of the metric's difference between two runs' last evaluations; none where
 * they are not of the same pictures. */
std::optional<MeanError> paired_error(const ComparedRun& a,
                                      const ComparedRun& b,
                                      const std::string& metric) {
  if (!a.pictures || !b.pictures ||
      !pairing_problem(*a.pictures, *b.pictures).empty()) {
    return std::nullopt;
  }
  const auto errors = errors_of(difference(*a.pictures, *b.pictures));
  const auto found = errors.find(metric);
  return found == errors.end() ? std::nullopt : std::optional(found->second);
}

/** Of the mean after training: over seeds, or of the pictures of a single one.
 */
MeanError mean_error(const SettingResult& setting) {
  if (setting.runs.size() == 1) return setting.runs.front().error;
  const auto n = static_cast<double>(setting.after.count);
  if (n < 2) return {};
  return {setting.after.deviation / std::sqrt(n), n - 1};
}

Lag lag_behind(const SettingResult& best, const SettingResult& other,
               const std::string& metric) {
  Lag out;
  out.difference = best.after.mean - other.after.mean;
  const bool one = best.runs.size() == 1, other_one = other.runs.size() == 1;
  out.over = one && other_one   ? Lag::Over::pictures
             : one || other_one ? Lag::Over::seeds_and_pictures
                                : Lag::Over::seeds;
  const auto paired = out.over == Lag::Over::pictures
                          ? paired_error(best.setting.runs.front(),
                                         other.setting.runs.front(), metric)
                          : std::nullopt;
  out.paired = paired.has_value();
  out.error =
      paired.value_or(error_of_both(mean_error(best), mean_error(other)));
  return out;
}

void measure_lags(Comparison& comparison) {
  const auto& best = comparison.settings.front();
  for (auto& setting : comparison.settings) {
    setting.lag = &setting == &best
                      ? Lag{.difference = kMissing}
                      : lag_behind(best, setting, comparison.metric);
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

bool Lag::is_sure(size_t statements) const {
  return difference > error.sure(statements);
}

std::set<std::string> metrics_of(const ComparedRun& run) {
  std::set<std::string> out;
  for (const auto* line : run.evaluated()) {
    for (const auto& [name, mean] : line->evaluation->all.metrics) {
      out.insert(name);
    }
  }
  return out;
}

Curve cost_curve(const ComparedRun& run, double Cost::*cost,
                 const std::string& metric) {
  return {column(run, [&](const auto& line) { return line.cost().*cost; }),
          scores_of(run, metric)};
}

Curve drift_curve(const ComparedRun& run, const std::string& metric) {
  return {column(run, [](const auto& line) { return line.evaluation->kl; }),
          scores_of(run, metric)};
}

Comparison compare_runs(std::vector<ComparedRun> runs,
                        const ComparisonOptions& options) {
  RSM_CHECK(!runs.empty(), "[compare] no run arrived; it takes at least one");
  Comparison out;
  out.metric = metric_of(runs, options.metric);
  out.watched = watched_of(runs);
  for (auto& setting : group_settings(std::move(runs))) {
    SettingResult result;
    result.setting = std::move(setting);
    measure_ends(result, out);
    out.settings.push_back(std::move(result));
  }
  std::sort(out.settings.begin(), out.settings.end(), better);
  const double base = statistics_of(all_runs(out, &RunResult::before)).mean;
  const double best = out.settings.front().after.mean;
  out.target = options.target.value_or(default_target(base, best));
  out.kl =
      options.kl.value_or(statistics_of(all_runs(out, &RunResult::kl)).low);
  for (auto& setting : out.settings) measure_milestones(setting, out);
  out.baseline = find_baseline(out, options.baseline);
  measure_speed(out);
  measure_lags(out);
  out.warnings = comparison_warnings(out);
  return out;
}

}  // namespace rsm::report
