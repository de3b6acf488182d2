#include <cmath>
#include <optional>
#include <set>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/plot/text_table.h"
#include "rsm/report/page.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

constexpr size_t kColors = 5;

/** What an epoch's line says of one of several rewards, or NaN. */
double said_of(const EpochRecord& line, const std::string& reward,
               const std::string& what) {
  const auto found = line.rewards.find(reward);
  if (found == line.rewards.end()) return kMissing;
  const auto number = found->second.find(what);
  return number == found->second.end() ? kMissing : number->second;
}

std::set<std::string> names_of(const RunRecord& record) {
  std::set<std::string> out;
  for (const auto& line : record.epochs) {
    for (const auto& [name, numbers] : line.rewards) out.insert(name);
  }
  return out;
}

/** The correlation of what a reward adds with what the others add, from what
 * the log has: r with the total and the share s of its square. Where the total
 * has square 1, the reward's own part has s^2 / r^2. */
double beside_others(const EpochRecord& line, const std::string& reward) {
  const double r = said_of(line, reward, "correlation");
  if (said_of(line, reward, "weight") == 0) return r;  // the total is others'
  const double share = said_of(line, reward, "share");
  const double own = share / r;
  const double others = 1 - 2 * share + own * own;  // their sum's square
  constexpr double kRounding = 1e-9;  // where nothing else trains: about 0
  if (!(own > 0) || !(others > kRounding)) return kMissing;
  return (share - own * own) / (own * std::sqrt(others));
}

/** One number of a reward over the epochs that have it. */
struct Course {
  std::vector<double> epochs, values;

  template <typename Read>
  Course(const RunRecord& record, const Read& read) {
    for (const auto& line : record.epochs) {
      const double value = read(line);
      if (!can_plot(value)) continue;
      epochs.push_back(static_cast<double>(line.epoch));
      values.push_back(value);
    }
  }
  double mean() const {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());  // NaN of none
  }
};

Course course_of(const RunRecord& record, const std::string& reward,
                 const std::string& what) {
  return {record,
          [&](const EpochRecord& line) { return said_of(line, reward, what); }};
}

Course others_course(const RunRecord& record, const std::string& reward) {
  return {record,
          [&](const EpochRecord& line) { return beside_others(line, reward); }};
}

/** "0.61 (epoch 7)": the highest mean, or the lowest of a negative weight. */
std::string best_text(const Course& means, double weight) {
  if (means.values.empty()) return format_short(kMissing);
  size_t best = 0;
  for (size_t i = 1; i < means.values.size(); ++i) {
    const double gain = means.values[i] - means.values[best];
    if (weight < 0 ? gain < 0 : gain > 0) best = i;
  }
  return cat(format_short(means.values[best]), " (epoch ",
             static_cast<int64_t>(means.epochs[best]), ")");
}

TextTable reward_table(const RunRecord& record,
                       const std::set<std::string>& names) {
  TextTable out = {{"reward", "weight", "first", "last", "best",
                    "with the total", "with the others", "share"},
                   {}};
  for (const auto& name : names) {
    const auto means = course_of(record, name, "mean");
    const auto weights = course_of(record, name, "weight");
    const double weight =
        weights.values.empty() ? kMissing : weights.values.back();
    const bool known = !means.values.empty();
    out.rows.push_back(
        {name, format_short(weight),
         format_short(known ? means.values.front() : kMissing),
         format_short(known ? means.values.back() : kMissing),
         best_text(means, weight),
         format_signed(course_of(record, name, "correlation").mean(), 2),
         format_signed(others_course(record, name).mean(), 2),
         format_fixed(course_of(record, name, "share").mean(), 2)});
  }
  return out;
}

/** How far a mean went since its first epoch, in that epoch's deviations. */
Course change_course(const RunRecord& record, const std::string& reward) {
  std::optional<double> first, deviation;
  return {record, [&](const EpochRecord& line) {
            const double mean = said_of(line, reward, "mean");
            if (!first && can_plot(mean)) {
              first = mean;
              deviation = said_of(line, reward, "std");
            }
            return first && *deviation > 0 ? (mean - *first) / *deviation
                                           : kMissing;
          }};
}

/** A line for each reward over epochs; "" where none has two points. */
template <typename CourseOf>
std::string rewards_plot(const RunRecord& record,
                         const std::set<std::string>& names,
                         const std::string& title, const CourseOf& course) {
  LinePlot plot = {.title = title,
                   .description = title + " over epochs",
                   .x_label = "epoch",
                   .whole_x = true,
                   .reached = {0}};
  bool drawn = false;
  size_t count = 0;
  for (const auto& name : names) {
    const Course one = course(record, name);
    plot.series.push_back({.name = name,
                           .x = one.epochs,
                           .y = one.values,
                           .color = static_cast<int>(1 + count % kColors),
                           .thin = true,
                           .dash = static_cast<int>(count / kColors % 3)});
    ++count;
    drawn = drawn || one.epochs.size() > 1;
  }
  return drawn ? line_plot(plot) : "";
}

/** The summary's warnings that begin with one of these names. */
std::vector<std::string> warnings_of(const RunSummary& summary,
                                     const std::set<std::string>& names) {
  std::vector<std::string> out;
  for (const auto& warning : summary.warnings) {
    for (const auto& name : names) {
      if (!warning.text.starts_with(name + " ")) continue;
      out.push_back(warning_text(warning));
      break;
    }
  }
  return out;
}

}  // namespace

std::string reward_figures(const RunRecord& record, const RunSummary& summary) {
  const auto names = names_of(record);
  if (names.empty()) return "";
  return table_html(reward_table(record, names)) +
         text_list(warnings_of(summary, names)) +
         plots(figure("Each reward by epoch",
                      rewards_plot(record, names, "Change of each reward",
                                   change_course),
                      "change of its mean, in standard deviations of its "
                      "first epoch") +
               figure("Correlation with the others",
                      rewards_plot(record, names,
                                   "Correlation of each reward with the others",
                                   others_course),
                      "within groups; below 0 it falls where they rise"));
}

}  // namespace rsm::report
