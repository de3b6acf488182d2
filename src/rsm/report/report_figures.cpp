#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

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

struct TimeUnit {
  double seconds = 60;
  const char* name = "minutes";
};

TimeUnit time_unit(const RunRecord& record) {
  double longest = 0;
  for (const auto& line : record.epochs) {
    const double wall = line.number("wall_s");
    if (can_plot(wall)) longest = std::max(longest, wall);
  }
  if (longest < 120) return {1, "seconds"};
  if (longest < 3 * 3600) return {60, "minutes"};
  return {3600, "hours"};
}

std::string score_plot(const RunRecord& record, const std::string& title,
                       const std::string& x_label, const Reader& x,
                       bool whole) {
  LinePlot plot;
  plot.title = title;
  plot.description = "Held-out scores and training reward against " + x_label;
  plot.x_label = x_label;
  plot.series = score_series(record, x);
  plot.whole_x = whole;
  return curves(plot);
}

std::string score_by_time(const RunRecord& record) {
  const auto unit = time_unit(record);
  const Reader wall = [unit](const EpochRecord& line) {
    return line.number("wall_s") / unit.seconds;
  };
  return score_plot(record, "Score against time", unit.name, wall, false);
}

std::string category_plot(const RunSummary& summary) {
  PairPlot plot;
  plot.title = "Score by category before and after training";
  std::vector<std::string> words;
  for (const auto& category : summary.categories) {
    const auto& change = category.change;
    plot.rows.push_back(
        {category.name, change.before, change.after, change.error_after.shown(),
         std::isfinite(change.gain()) ? format_signed(change.gain(), 2) : ""});
    words.push_back(category.name + " " + format_fixed(change.before, 3) +
                    " to " + format_fixed(change.after, 3));
  }
  plot.description = join(words, "; ");
  return pair_plot(plot);
}

/** "step" with "t" below. */
PlotTick step_tick(double step, double t) {
  return {step, format_short(step), std::isfinite(t) ? format_fixed(t, 2) : ""};
}

std::vector<double> column(const EpochRecord& line, const std::string& name) {
  const auto found = line.by_step.find(name);
  return found == line.by_step.end() ? std::vector<double>() : found->second;
}

bool has_column(const EpochRecord& line, const std::string& name) {
  const auto values = column(line, name);
  return std::any_of(values.begin(), values.end(), can_plot);
}

/** A column of the first and the latest epoch that have it, by step. */
std::string step_plot(const RunRecord& record, const std::string& name,
                      const std::string& title) {
  std::vector<const EpochRecord*> lines;
  for (const auto& line : record.epochs) {
    if (has_column(line, name)) lines.push_back(&line);
  }
  if (lines.empty()) return "";
  LinePlot plot;
  plot.title = title;
  plot.description = title + " at each sampler step";
  plot.x_label = "sampler step and its time (1 = noise)";
  plot.from_zero = true;
  const auto add = [&](const EpochRecord& line, int color) {
    PlotSeries series;
    series.name = cat("epoch ", line.epoch);
    series.x = column(line, "step");
    series.y = column(line, name);
    for (size_t i = series.x.size(); i < series.y.size(); ++i) {
      series.x.push_back(static_cast<double>(i));
    }
    series.color = color;
    plot.series.push_back(series);
  };
  if (lines.size() > 1) add(*lines.front(), 0);
  add(*lines.back(), 1);
  const auto& steps = plot.series.back().x;
  const auto times = column(*lines.back(), "t");
  // More labels than this would touch each other.
  const size_t every = (steps.size() + 9) / 10;
  for (size_t i = 0; i < steps.size(); i += std::max<size_t>(1, every)) {
    const double t = i < times.size() ? times[i] : kMissing;
    if (can_plot(steps[i])) plot.x_ticks.push_back(step_tick(steps[i], t));
  }
  return line_plot(plot);
}

std::string schedule_plot(const RunRecord& record) {
  BarPlot plot;
  plot.title = "Guidance strength h(t)";
  plot.description =
      "How strongly the reward acts at each sampler step, with the number of "
      "branches drawn there";
  plot.x_label = "sampler step and its time (1 = noise)";
  plot.color = 4;
  const size_t every = (record.schedule.size() + 11) / 12;
  for (size_t i = 0; i < record.schedule.size(); ++i) {
    const auto& step = record.schedule[i];
    const double at =
        std::isfinite(step.step) ? step.step : static_cast<double>(i);
    const bool labelled = i % std::max<size_t>(1, every) == 0;
    plot.ticks.push_back(labelled ? step_tick(at, step.t)
                                  : PlotTick{at, "", ""});
    plot.values.push_back(step.h);
    const bool noted = std::isfinite(step.branches) && labelled;
    plot.notes.push_back(noted ? "K " + format_short(step.branches) : "");
  }
  return bar_plot(plot);
}

/** One number of every line over epochs. */
std::string epoch_plot(const RunRecord& record, const std::string& title,
                       const Reader& value, const Reader& error = nullptr) {
  LinePlot plot;
  plot.title = title;
  plot.description = title + " over epochs";
  plot.x_label = "epoch";
  plot.whole_x = true;
  plot.series = {collect(record, "", epoch_of, value, error)};
  plot.series[0].thin = true;
  return curves(plot);
}

std::string drift_plot(const RunRecord& record) {
  LinePlot plot;
  plot.title = "Drift from the reference";
  plot.description = "KL to the reference per latent element over epochs";
  plot.x_label = "epoch";
  plot.whole_x = true;
  plot.from_zero = true;
  auto trained = collect(record, "training states", epoch_of, number_of("kl"));
  trained.color = 5;
  trained.thin = true;
  plot.series = {trained,
                 collect(record, "evaluation path", epoch_of, drift_of)};
  return curves(plot);
}

/** A metric that should not rise, with its limit. */
std::string watched_plot(const RunRecord& record, const std::string& metric) {
  LinePlot plot;
  plot.title = metric;
  plot.description = metric + " of held-out pictures over epochs";
  plot.x_label = "epoch";
  plot.whole_x = true;
  plot.from_zero = true;
  plot.series = {collect(record, "held-out pictures", epoch_of,
                         score_of(metric), error_of(metric))};
  plot.series[0].color = 4;
  if (!plot.series[0].y.empty() && plot.series[0].y[0] > 0) {
    plot.guides = {{kWatchedLimit * plot.series[0].y[0],
                    format_short(kWatchedLimit) + " x what it was"}};
  }
  return curves(plot);
}

}  // namespace

std::string figure(const std::string& title, const std::string& plot,
                   const std::string& note) {
  if (plot.empty()) return "";
  return "<figure><figcaption>" + escape_html(title) +
         (note.empty() ? "" : " <small>" + escape_html(note) + "</small>") +
         "</figcaption>" + plot + "</figure>\n";
}

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
                        drift_of, false),
             "steeper is better: more score for less change");
  const bool together = score_series(record, epoch_of).size() > 1;
  if (!together) {
    out += figure("Training reward",
                  epoch_plot(record, "Training reward", number_of("reward")),
                  "pictures sampled for training");
  }
  const auto* last = record.last_evaluation();
  if (last == nullptr) return out;
  const auto values = [&](const std::string& metric) {
    return collect(record, "", epoch_of, score_of(metric)).y;
  };
  for (const auto& [metric, value] : last->evaluation->all.metrics) {
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
                           "KL per latent element; 0 is the base model");
  for (const auto& metric : record.watched) {
    out += figure("Held-out " + metric, watched_plot(record, metric),
                  "what the reward does not see: it should not rise");
  }
  return out;
}

std::string step_figures(const RunRecord& record) {
  return figure("Guidance strength h(t)", schedule_plot(record),
                "how strongly the reward acts; K: branches drawn") +
         figure("Reward spread",
                step_plot(record, "reward_spread", "Reward spread"),
                "within groups: what there is to learn from") +
         figure("Dead groups",
                step_plot(record, "dead_share", "Share of dead groups"),
                "share of groups without any spread") +
         figure("Clipped rows",
                step_plot(record, "clip_fraction", "Share of clipped rows"),
                "share of rows that no longer push") +
         figure("KL to the reference", step_plot(record, "kl", "KL by step"),
                "per latent element");
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
