#include <algorithm>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/report/page.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

constexpr const char* kStepLabel = "sampler step and its time (1 = noise)";

/** Of so many steps each so many-th has room for a label. */
size_t labelled(size_t steps) {
  constexpr size_t kMost = 11;
  return (steps + kMost - 1) / kMost;
}

/** "step" with its time below. */
std::vector<PlotTick> step_ticks(const std::vector<double>& steps,
                                 const std::vector<double>& times) {
  std::vector<PlotTick> out;
  for (size_t i = 0; i < steps.size(); i += labelled(steps.size())) {
    const bool timed = i < times.size() && can_plot(times[i]);
    if (!can_plot(steps[i])) continue;
    out.push_back({steps[i], format_short(steps[i]),
                   timed ? format_fixed(times[i], 2) : ""});
  }
  return out;
}

std::vector<double> column(const EpochRecord& line, const std::string& name) {
  const auto found = line.by_step.find(name);
  return found == line.by_step.end() ? std::vector<double>() : found->second;
}

/** The first and the latest epoch that have a column, or the only one. */
std::vector<const EpochRecord*> ends_of(const RunRecord& record,
                                        const std::string& name) {
  std::vector<const EpochRecord*> lines;
  for (const auto& line : record.epochs) {
    const auto values = column(line, name);
    const bool known = std::any_of(values.begin(), values.end(), can_plot);
    if (known) lines.push_back(&line);
  }
  if (lines.size() > 2) lines.erase(lines.begin() + 1, lines.end() - 1);
  return lines;
}

/** A column by step. */
PlotSeries of_steps(const EpochRecord& line, const std::string& name,
                    int color) {
  return {.name = cat("epoch ", line.epoch),
          .x = column(line, "step"),
          .y = column(line, name),
          .color = color};
}

/** Such columns; the steps are those of `line`. */
std::string steps_plot(const EpochRecord& line, const std::string& title,
                       std::vector<PlotSeries> series) {
  return line_plot(
      {.title = title,
       .description = title + " at each sampler step",
       .x_label = kStepLabel,
       .series = std::move(series),
       .x_ticks = step_ticks(column(line, "step"), column(line, "t")),
       .reached = {0}});
}

/** A column of the first and the latest epoch that have it, by step. */
std::string step_plot(const RunRecord& record, const std::string& name,
                      const std::string& title) {
  const auto lines = ends_of(record, name);
  if (lines.empty()) return "";
  std::vector<PlotSeries> series;
  for (const auto* line : lines) {
    series.push_back(of_steps(*line, name, line == lines.back() ? 1 : 0));
  }
  return steps_plot(*lines.back(), title, std::move(series));
}

/** What a value network adds and what the reward's gradient does: figure 8 of
 * arXiv 2604.17415. */
std::string value_plot(const RunRecord& record) {
  const auto lines = ends_of(record, "value_norm");
  if (lines.empty()) return "";
  std::vector<PlotSeries> series;
  const auto add = [&](const EpochRecord& line, const std::string& name,
                       const std::string& called, int color) {
    auto one = of_steps(line, name, color);
    one.name = called + ", " + one.name;
    one.dash = &line == lines.back() ? 0 : 1;
    series.push_back(std::move(one));
  };
  for (const auto* line : lines) {
    add(*line, "value_norm", "value network", 4);
    add(*line, "guidance_norm", "reward's gradient", 1);
  }
  return steps_plot(*lines.back(), "Norms of the guidance's parts",
                    std::move(series));
}

std::string schedule_plot(const RunRecord& record) {
  PlotSeries h = {.color = 4, .shape = PlotSeries::Shape::columns};
  std::vector<double> times;
  const size_t every = labelled(record.schedule.size());
  for (const auto& step : record.schedule) {
    const bool noted = h.x.size() % every == 0;
    h.notes.push_back(noted ? "K " + format_short(step.branches) : "");
    h.x.push_back(step.step);
    h.y.push_back(step.h);
    times.push_back(step.t);
  }
  return line_plot({.title = "Guidance strength h(t)",
                    .description =
                        "How strongly the reward acts at each sampler step, "
                        "with the number of branches drawn there",
                    .x_label = kStepLabel,
                    .series = {h},
                    .x_ticks = step_ticks(h.x, times),
                    .reached = {0}});
}

}  // namespace

std::string step_figures(const RunRecord& record) {
  return figure("Guidance strength h(t)", schedule_plot(record),
                "how strongly the reward acts; K: branches drawn") +
         figure("Branches by measurement",
                step_plot(record, "branches", "Branches by measurement"),
                "K as it was chosen, first and last") +
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
                "per latent element") +
         figure("Value network", value_plot(record),
                "its norm, beside that of the reward's gradient");
}

}  // namespace rsm::report
