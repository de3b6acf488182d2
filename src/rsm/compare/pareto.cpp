#include "rsm/compare/pareto.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <set>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_data.h"
#include "rsm/compare/comparison_page.h"
#include "rsm/compare/comparison_tables.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"

namespace rsm::report {
namespace {

const WatchNumbers& first_watch(const ComparedRun& run) {
  return run.evaluated().front()->evaluation->watch;
}

double lost(const FrontPoint& point) { return 1 - point.kept; }

std::vector<double> column(
    const std::vector<FrontPoint>& points,
    const std::function<double(const FrontPoint&)>& number) {
  std::vector<double> out;
  for (const auto& point : points) out.push_back(number(point));
  return out;
}

std::set<std::string> watched_names(const Comparison& comparison) {
  std::set<std::string> out;
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.setting.runs) {
      if (run.evaluated().empty()) continue;
      for (const auto& [name, number] : first_watch(run)) out.insert(name);
    }
  }
  return out;
}

/** What a run's watched numbers are times what they were. */
WatchNumbers ratios_of(const ComparedRun& run, const WatchNumbers& now) {
  WatchNumbers out;
  for (const auto& [name, number] : first_watch(run)) {
    out[name] = watch_ratio(name, first_watch(run), now);
  }
  return out;
}

const EpochRecord* evaluated_at(const ComparedRun& run, int64_t epoch) {
  for (const auto* line : run.evaluated()) {
    if (line->epoch == epoch) return line;
  }
  return nullptr;
}

/** Means over seeds; of what is watched, those of the first seed's names. */
std::optional<FrontPoint> point_of(const Comparison& comparison, size_t setting,
                                   int64_t epoch) {
  const auto& runs = comparison.settings[setting].setting.runs;
  const auto share = 1.0 / static_cast<double>(runs.size());
  FrontPoint out = {.setting = setting, .epoch = epoch};
  for (const auto& run : runs) {
    const auto* line = evaluated_at(run, epoch);
    if (line == nullptr) return std::nullopt;
    const auto& now = *line->evaluation;
    out.score += share * now.all.metric(comparison.metric);
    out.kl += share * now.kl;
    out.kept += share * least_kept(first_watch(run), now.watch);
    for (const auto& [name, ratio] : ratios_of(run, now.watch)) {
      out.ratios[name] += share * ratio;
    }
  }
  return std::isfinite(out.score) ? std::optional(out) : std::nullopt;
}

std::string kept_text(double ratio) {
  return std::isfinite(ratio) ? format_fixed(ratio, 2) + "×" : "n/a";
}

using CostOf = std::function<double(const FrontPoint&)>;

std::string front_plot(const Comparison& comparison, LinePlot plot,
                       const CostOf& cost, bool FrontPoint::*is_best) {
  auto points = front_points(comparison);
  const auto names = short_names(comparison, kLegendLetters);
  PlotSeries front = {.name = "front", .color = 0, .points = false, .dash = 1};
  std::vector<PlotSeries> dots;
  for (size_t i = 0; i < names.size(); ++i) {
    dots.push_back({.name = names[i],
                    .color = color_of(i),
                    .shape = PlotSeries::Shape::dots});
  }
  std::erase_if(points, [&](const auto& p) { return !std::isfinite(cost(p)); });
  std::stable_sort(
      points.begin(), points.end(),
      [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
  for (const auto& point : points) {
    dots[point.setting].x.push_back(cost(point));
    dots[point.setting].y.push_back(point.score);
    if (!(point.*is_best)) continue;
    front.x.push_back(cost(point));
    front.y.push_back(point.score);
  }
  plot.series = {front};
  plot.series.insert(plot.series.end(), dots.begin(), dots.end());
  return line_plot(plot);
}

}  // namespace

std::vector<bool> undominated(const std::vector<double>& cost,
                              const std::vector<double>& score) {
  const size_t n = std::min(cost.size(), score.size());
  const auto known = [&](size_t i) {
    return std::isfinite(cost[i]) && std::isfinite(score[i]);
  };
  std::vector<bool> out(n, false);
  for (size_t i = 0; i < n; ++i) {
    out[i] = known(i);
    for (size_t j = 0; out[i] && j < n; ++j) {
      const bool as_good = cost[j] <= cost[i] && score[j] >= score[i];
      const bool better = cost[j] < cost[i] || score[j] > score[i];
      if (known(j) && as_good && better) out[i] = false;
    }
  }
  return out;
}

std::vector<FrontPoint> front_points(const Comparison& comparison) {
  std::vector<FrontPoint> out;
  for (size_t i = 0; i < comparison.settings.size(); ++i) {
    const auto& first = comparison.settings[i].setting.runs.front();
    for (const auto* line : first.evaluated()) {
      const auto point = point_of(comparison, i, line->epoch);
      if (point) out.push_back(*point);
    }
  }
  const auto score = column(out, [](const auto& p) { return p.score; });
  const auto by_drift =
      undominated(column(out, [](const auto& p) { return p.kl; }), score);
  const auto by_loss = undominated(column(out, lost), score);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].best_by_drift = by_drift[i];
    out[i].best_by_loss = by_loss[i];
  }
  return out;
}

TextTable front_table(const Comparison& comparison) {
  auto points = front_points(comparison);
  std::erase_if(points, [](const auto& point) {
    return !point.best_by_drift && !point.best_by_loss;
  });
  const auto key = [](const FrontPoint& point) {
    return std::isfinite(point.kl) ? point.kl : INFINITY;
  };
  std::stable_sort(
      points.begin(), points.end(),
      [&](const auto& a, const auto& b) { return key(a) < key(b); });
  TextTable out;
  out.head = {"setting", "epoch", comparison.metric,
              "drift",   "kept",  "front by"};
  for (const auto& point : points) {
    out.rows.push_back({comparison.settings[point.setting].label(),
                        cat(point.epoch),
                        format_fixed(point.score, kScoreDecimals),
                        format_short(point.kl), kept_text(point.kept),
                        !point.best_by_loss    ? "drift"
                        : !point.best_by_drift ? "loss"
                                               : "both"});
  }
  return out;
}

TextTable watch_table(const Comparison& comparison) {
  TextTable out;
  const auto names = watched_names(comparison);
  if (names.empty()) return out;
  out.head = {"setting"};
  out.head.insert(out.head.end(), names.begin(), names.end());
  for (const auto& setting : comparison.settings) {
    auto& row =
        out.rows.emplace_back(std::vector<std::string>{setting.label()});
    for (const auto& name : names) {
      std::vector<double> ratios;
      for (const auto& run : setting.setting.runs) {
        const auto evaluated = run.evaluated();
        if (evaluated.size() < 2) continue;  // the first is what it was
        ratios.push_back(watch_ratio(name, first_watch(run),
                                     evaluated.back()->evaluation->watch));
      }
      row.push_back(kept_text(statistics_of(ratios).mean));
    }
  }
  return out;
}

std::string pareto_csv(const Comparison& comparison) {
  TextTable table;
  table.head = {"label", "seeds", "epoch",         "score",
                "kl",    "kept",  "best_by_drift", "best_by_loss"};
  const auto names = watched_names(comparison);
  for (const auto& name : names) table.head.push_back("watch_" + name);
  for (const auto& point : front_points(comparison)) {
    const auto& setting = comparison.settings[point.setting];
    auto& row = table.rows.emplace_back(std::vector<std::string>{
        setting.label(), cat(setting.runs.size()), cat(point.epoch),
        exact_text(point.score), exact_text(point.kl), exact_text(point.kept),
        cat(point.best_by_drift), cat(point.best_by_loss)});
    for (const auto& name : names) {
      const auto found = point.ratios.find(name);
      row.push_back(found == point.ratios.end() ? ""
                                                : exact_text(found->second));
    }
  }
  return table_csv(table);
}

std::string drift_front_plot(const Comparison& comparison) {
  return front_plot(
      comparison,
      {.title = "Pareto front of score and drift",
       .description =
           "Settings by epoch, by drift and score, and those that no "
           "other beats",
       .x_label = "KL per latent element"},
      [](const FrontPoint& point) { return point.kl; },
      &FrontPoint::best_by_drift);
}

std::string loss_front_plot(const Comparison& comparison) {
  return front_plot(
      comparison,
      {.title = "Pareto front of score and what is lost",
       .description = "Settings by epoch, by the largest loss of what nobody "
                      "optimises and score, and those that no other beats",
       .x_label = "largest loss of what nobody optimises"},
      lost, &FrontPoint::best_by_loss);
}

}  // namespace rsm::report
