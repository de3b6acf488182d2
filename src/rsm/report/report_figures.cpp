#include <algorithm>
#include <cmath>
#include <functional>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/report/page.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

/** A number of a line; NaN where it has none. */
using Reader = std::function<double(const EpochRecord&)>;

Reader number_of(const std::string& name) {
  return [name](const EpochRecord& line) { return line.number(name); };
}

Reader score_of(const std::string& metric) {
  return [metric](const EpochRecord& line) {
    return line.evaluation ? line.evaluation->all.metric(metric) : kMissing;
  };
}

double epoch_of(const EpochRecord& line) {
  return static_cast<double>(line.epoch);
}

double drift_of(const EpochRecord& line) {
  return line.evaluation ? line.evaluation->kl : kMissing;
}

Reader error_of(const std::string& metric) {
  return [metric](const EpochRecord& line) {
    return line.evaluation ? line.evaluation->all.error(metric).shown()
                           : kMissing;
  };
}

/** y against x over the lines that have both. */
PlotSeries collect(const RunRecord& record, const std::string& name,
                   const Reader& x, const Reader& y,
                   const Reader& error = nullptr) {
  PlotSeries series;
  series.name = name;
  for (const auto& line : record.epochs) {
    if (!can_plot(x(line)) || !can_plot(y(line))) continue;
    series.x.push_back(x(line));
    series.y.push_back(y(line));
    if (error) series.error.push_back(error(line));
  }
  return series;
}

/** Training pictures' reward and the held-out scores, which share a plot as
 * all rewards between 0 and 1 do; otherwise the main score alone. */
std::vector<PlotSeries> score_series(const RunRecord& record, const Reader& x) {
  const auto& main = record.main_metric;
  const std::string trained = kTrainedMetric;
  auto reward = collect(record, "training reward", x, number_of("reward"));
  reward.color = 5;
  reward.thin = true;
  auto held_out =
      collect(record, "held-out " + main, x, score_of(main), error_of(main));
  std::vector<PlotSeries> all = {reward, held_out};
  if (trained != main) {
    all.push_back(collect(record, "held-out " + trained, x, score_of(trained)));
    all.back().color = 3;
  }
  const bool shares =
      std::all_of(all.begin(), all.end(), [](const PlotSeries& series) {
        return std::all_of(series.y.begin(), series.y.end(), [](double value) {
          return value >= 0 && value <= 1;
        });
      });
  if (!shares) all = {held_out};
  return all;
}

/** "" where the plot would be a single point. */
std::string curves(LinePlot plot) {
  std::vector<double> x;
  for (const auto& series : plot.series) {
    std::copy_if(series.x.begin(), series.x.end(), std::back_inserter(x),
                 can_plot);
  }
  if (x.empty()) return "";
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  return *low < *high ? line_plot(plot) : "";
}

std::string score_plot(const RunRecord& record, const std::string& title,
                       const std::string& x_label, const Reader& x,
                       bool whole = false) {
  return curves(
      {.title = title,
       .description = "Held-out scores and training reward against " + x_label,
       .x_label = x_label,
       .series = score_series(record, x),
       .whole_x = whole});
}

std::string score_by_time(const RunRecord& record) {
  const auto seconds = number_of("wall_s");
  double longest = 0;
  for (const auto& line : record.epochs) {
    if (can_plot(seconds(line))) longest = std::max(longest, seconds(line));
  }
  const auto unit = time_unit(longest);
  return score_plot(
      record, "Score against time", unit.name,
      [&](const EpochRecord& line) { return seconds(line) / unit.seconds; });
}

/** "0.20 → 0.70, +0.50" */
std::string change_text(const Change& change) {
  const auto before = format_fixed(change.before, 2);
  if (!std::isfinite(change.gain())) return before;
  return before + " → " + format_fixed(change.after, 2) + ", " +
         format_signed(change.gain(), 2);
}

std::string category_plot(const RunSummary& summary) {
  PlotSeries before = {
      .name = "before", .color = 0, .shape = PlotSeries::Shape::dots};
  PlotSeries after = {.name = "after", .shape = PlotSeries::Shape::dots};
  LinePlot plot = {.title = "Score by category before and after training",
                   .x_label = summary.metric,
                   .reached = {0}};
  std::vector<std::string> words;
  bool shares = true;
  for (const auto& [name, change] : summary.categories) {
    before.x.push_back(change.before);
    after.x.push_back(change.after);
    after.error.push_back(change.error_after.shown());
    after.y.push_back(static_cast<double>(plot.rows.size()));
    plot.rows.push_back({0, name, change_text(change)});
    words.push_back(name + " " + format_fixed(change.before, 3) + " to " +
                    format_fixed(change.after, 3));
    for (const double mean : {change.before, change.after}) {
      shares = shares && (!can_plot(mean) || (mean >= 0 && mean <= 1));
    }
  }
  before.y = after.y;
  if (shares) plot.reached.push_back(1);
  plot.description = join(words, "; ");
  plot.series = {before, after};
  return line_plot(plot);
}

/** Curves over epochs. */
std::string epoch_curves(const std::string& title, const std::string& of,
                         std::vector<PlotSeries> series,
                         std::vector<double> reached = {},
                         std::vector<PlotGuide> guides = {}) {
  return curves({.title = title,
                 .description = of + " over epochs",
                 .x_label = "epoch",
                 .series = std::move(series),
                 .guides = std::move(guides),
                 .whole_x = true,
                 .reached = std::move(reached)});
}

/** One number of every line over epochs. */
std::string epoch_plot(const RunRecord& record, const std::string& title,
                       const Reader& value, const Reader& error = nullptr) {
  auto series = collect(record, "", epoch_of, value, error);
  series.thin = true;
  return epoch_curves(title, title, {series});
}

std::string drift_plot(const RunRecord& record) {
  auto trained = collect(record, "training states", epoch_of, number_of("kl"));
  trained.color = 5;
  trained.thin = true;
  return epoch_curves(
      "Drift from the reference", "KL to the reference per latent element",
      {trained, collect(record, "evaluation path", epoch_of, drift_of)}, {0});
}

/** A metric that should not rise, with its limit. */
std::string watched_plot(const RunRecord& record, const std::string& metric) {
  auto series = collect(record, "held-out pictures", epoch_of, score_of(metric),
                        error_of(metric));
  series.color = 4;
  std::vector<PlotGuide> limit;
  if (!series.y.empty() && series.y[0] > 0) {
    limit = {{kWatchedLimit * series.y[0],
              format_short(kWatchedLimit) + " x what it was"}};
  }
  return epoch_curves(metric, metric + " of held-out pictures", {series}, {0},
                      limit);
}

/** What nobody optimises, against the first evaluation. */
std::string watch_plot(const RunRecord& record) {
  const auto evaluated = record.evaluated();
  if (evaluated.empty()) return "";
  const auto& first = evaluated.front()->evaluation->watch;
  std::vector<PlotSeries> all;
  for (const auto& [name, number] : first) {
    const Reader ratio = [&, of = name](const EpochRecord& line) {
      return line.evaluation ? watch_ratio(of, first, line.evaluation->watch)
                             : kMissing;
    };
    all.push_back(collect(record, name, epoch_of, ratio));
    all.back().color = static_cast<int>(all.size());
  }
  return epoch_curves("What nobody optimises", "Watched numbers", all, {0, 1});
}

}  // namespace

std::string result_figures(const RunRecord& record, const RunSummary& summary) {
  return figure("By category", category_plot(summary),
                summary.metric + " of held-out pictures") +
         figure("Over time", score_by_time(record), "bars: one error");
}

std::string curve_figures(const RunRecord& record, const RunSummary& summary) {
  std::string out =
      figure("Score by epoch", score_plot(record, "Score against epochs",
                                          "epochs", epoch_of, true)) +
      figure("Score by drift",
             score_plot(record, "Score against drift", "KL per latent element",
                        drift_of),
             "steeper is better: more score for less change");
  const bool together = score_series(record, epoch_of).size() > 1;
  if (!together) {
    out += figure("Training reward",
                  epoch_plot(record, "Training reward", number_of("reward")),
                  "pictures sampled for training");
  }
  const auto evaluated = record.evaluated();
  if (evaluated.empty()) return out;
  const auto values = [&](const std::string& metric) {
    return collect(record, "", epoch_of, score_of(metric)).y;
  };
  for (const auto& [metric, value] :
       evaluated.back()->evaluation->all.metrics) {
    const auto& watched = record.watched;
    const bool elsewhere =
        std::find(watched.begin(), watched.end(), metric) != watched.end();
    if (metric == summary.metric || elsewhere) continue;
    // The trained metric is drawn already, also under its other name.
    const bool drawn = values(metric) == values(kTrainedMetric);
    if (together && drawn) continue;
    out +=
        figure("Held-out " + metric,
               epoch_plot(record, metric, score_of(metric), error_of(metric)));
  }
  return out;
}

std::string safety_figures(const RunRecord& record) {
  std::string out = figure("Drift from the reference", drift_plot(record),
                           "KL per latent element; 0 is the base model") +
                    figure("What nobody optimises", watch_plot(record),
                           "times what it was before training");
  for (const auto& metric : record.watched) {
    out += figure("Held-out " + metric, watched_plot(record, metric),
                  "what the reward does not see: it should not rise");
  }
  return out;
}

std::string health_figures(const RunRecord& record) {
  const Reader dead = [](const EpochRecord& line) {
    return line.number("dead_groups") / line.number("groups");
  };
  const auto plain = [&](const std::string& title, const std::string& key) {
    return figure(title, epoch_plot(record, title, number_of(key)));
  };
  return plain("Share of clipped rows", "clip_fraction") +
         figure("Share of dead groups",
                epoch_plot(record, "Share of dead groups", dead)) +
         plain("Gradient norm", "grad_norm") + plain("Loss", "loss") +
         plain("Reward's standard deviation", "reward_std") +
         plain("Rollout gap", "rollout_gap") + plain("Learning rate", "lr");
}

}  // namespace rsm::report
