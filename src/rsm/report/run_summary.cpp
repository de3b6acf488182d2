#include "rsm/report/run_summary.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "rsm/base/error.h"
#include "rsm/data/certainty.h"
#include "rsm/plot/format.h"

namespace rsm::report {
namespace {

/** Of a score: a float32 is not known more exactly. */
constexpr double kRounding = 1e-7;

/** The text with every number replaced by one sign. */
std::string without_numbers(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!digit) {
      out += c;
    } else if (out.empty() || out.back() != '#') {
      out += '#';
    }
  }
  return out;
}

std::vector<WarningGroup> log_warnings(const RunRecord& record) {
  std::vector<WarningGroup> groups;
  std::map<std::string, size_t> known;
  for (const auto& line : record.epochs) {
    for (const auto& text : line.warnings) {
      const auto [place, is_new] =
          known.try_emplace(without_numbers(text), groups.size());
      if (is_new) groups.push_back({text, 0, line.epoch, -1});
      auto& group = groups[place->second];
      if (group.last_epoch != line.epoch || is_new) ++group.epochs;
      group.text = text;
      group.last_epoch = line.epoch;
    }
  }
  return groups;
}

/** The evaluation before training and the last one. */
struct Ends {
  const EvaluationRecord* first = nullptr;
  const EvaluationRecord* last = nullptr;  ///< may be the same
  /** Whether the log's errors are of the change between these two. */
  bool paired = false;
};

/** Of a category, or of all where `category` is null. */
Change change_between(const Ends& ends, const std::string* category,
                      const std::string& metric) {
  static const Scores nothing;
  const auto scores = [&](const EvaluationRecord& in) -> const Scores& {
    if (category == nullptr) return in.all;
    const auto found = in.categories.find(*category);
    return found == in.categories.end() ? nothing : found->second;
  };
  const auto& before = scores(*ends.first);
  const auto& after = ends.first == ends.last ? nothing : scores(*ends.last);
  return {before.metric(metric), after.metric(metric),
          ends.paired ? after.change_error(metric) : MeanError{},
          after.error(metric)};
}

void compare_categories(const Ends& ends, RunSummary& summary) {
  for (const auto& [name, now] : ends.last->categories) {
    if (!std::isfinite(now.metric(summary.metric))) continue;
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    summary.categories.push_back(
        {words, change_between(ends, &name, summary.metric)});
  }
  std::stable_sort(summary.categories.begin(), summary.categories.end(),
                   [](const NamedChange& a, const NamedChange& b) {
                     const double x = a.change.gain(), y = b.change.gain();
                     return std::isnan(y) ? !std::isnan(x) : x > y;
                   });
}

void compare_metrics(const Ends& ends, RunSummary& summary) {
  std::vector<std::string> names = {kTrainedMetric};
  if (summary.metric != kTrainedMetric) names.push_back(summary.metric);
  for (const auto& [name, mean] : ends.last->all.metrics) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  for (const auto& name : names) {
    const auto change = change_between(ends, nullptr, name);
    if (!std::isfinite(change.before) && !std::isfinite(change.after)) continue;
    summary.metrics.push_back({name, change});
  }
}

void warn(RunSummary& summary, const std::string& text) {
  summary.warnings.push_back({text, 0, 0, 0});
}

/** Where an evaluation before the last was clearly better. */
void warn_of_fall(const RunRecord& record, RunSummary& summary) {
  const EpochRecord* best = nullptr;
  const auto score = [&](const EpochRecord& line) {
    return line.evaluation->all.metric(summary.metric);
  };
  const auto evaluated = record.evaluated();
  for (const auto* line : evaluated) {
    if (std::isnan(score(*line))) continue;
    if (best == nullptr || score(*line) > score(*best)) best = line;
  }
  if (best == nullptr || best->epoch == 0) return;
  const auto error = best->evaluation->all.change_error(summary.metric);
  // Both are changes since the same start, on the same prompts: that at most
  // adds to the errors, but they know no more than one of them does.
  Change fall = {score(*best), summary.main.after,
                 error_of_both(error, summary.main.error)};
  fall.error.freedom =
      std::min({fall.error.freedom, error.freedom, summary.main.error.freedom});
  if (fall.sign(evaluated.size()) >= 0) return;
  warn(summary, cat("The score was better before: ",
                    format_fixed(fall.before, 3), " at epoch ", best->epoch,
                    ", ", format_fixed(fall.after, 3), " at the end."));
}

void warn_of(const Watched& watched, RunSummary& summary) {
  const auto ratio = format_short(watched.ratio);
  if (watched.name == "diversity") {
    warn(summary,
         cat("Pictures of one prompt differ ", ratio,
             " times as much as before training: the model may be settling on "
             "one picture. Look at them; a stronger pull to the reference "
             "(beta) holds it back."));
    return;
  }
  warn(summary,
       cat(watched.name, " is ", ratio,
           " times what it was before training: the score may have been won "
           "by what the reward does not see. Look at the pictures; a stronger "
           "pull to the reference (beta) holds it back."));
}

void judge(RunSummary& summary) {
  using Verdict = RunSummary::Verdict;
  if (!std::isfinite(summary.main.gain())) return;
  const int sign = summary.main.sign();
  summary.verdict = sign > 0   ? Verdict::better
                    : sign < 0 ? Verdict::worse
                               : Verdict::same;
  if (!summary.main.error.is_known()) {
    summary.verdict = Verdict::unclaimed;
    warn(summary, cat("Whether ", summary.metric,
                      " changed is not claimed: the log has no error of its "
                      "change since before training. Its beginning or the "
                      "scores before training are gone, or one picture alone "
                      "was looked at."));
  }
  for (const auto& watched : watched_of(summary)) {
    if (!watched.bad) continue;
    if (sign > 0) summary.verdict = Verdict::suspicious;
    warn_of(watched, summary);
  }
}

}  // namespace

int Change::sign(size_t statements) const {
  const double least =
      std::max(error.sure(statements),
               kRounding * std::max(std::abs(before), std::abs(after)));
  if (!error.is_known() || !(std::abs(gain()) > least)) return 0;
  return gain() > 0 ? 1 : -1;
}

const NamedChange* RunSummary::change_of(const std::string& name) const {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(),
                   [&](const NamedChange& one) { return one.name == name; });
  return found == metrics.end() ? nullptr : &*found;
}

Watched watched_change(const std::string& name, const Change& change) {
  const double ratio =
      change.before > 0 ? change.after / change.before : kMissing;
  const bool far =
      name == "diversity" ? ratio < kDiversityLimit : ratio > kWatchedLimit;
  const bool chance = change.error.is_known() && change.sign() == 0;
  return {name, ratio, far && !chance};
}

std::vector<Watched> watched_of(const RunSummary& summary) {
  std::vector<Watched> out;
  auto names = summary.watched;
  names.emplace_back("diversity");
  for (const auto& name : names) {
    const auto* found = summary.change_of(name);
    if (found == nullptr) continue;
    const auto watched = watched_change(name, found->change);
    if (std::isfinite(watched.ratio)) out.push_back(watched);
  }
  return out;
}

RunSummary summarise(const RunRecord& record) {
  RunSummary out;
  out.metric = record.main_metric;
  out.watched = record.watched;
  out.finished = record.finished;
  out.warnings = log_warnings(record);
  for (const auto& text : record.warnings) warn(out, text);
  for (const auto& text : record.log_problems) warn(out, text);
  for (const auto& text : record.picture_problems) warn(out, text);
  out.main = {kMissing, kMissing};
  out.drift = out.seconds = kMissing;
  if (!record.epochs.empty()) out.epoch = record.epochs.back().epoch;
  const auto evaluated = record.evaluated();
  if (evaluated.empty()) return out;
  const auto* first = evaluated.front();
  const auto* last = evaluated.back();
  const Ends ends = {&*first->evaluation, &*last->evaluation,
                     first->epoch == 0};
  out.images = ends.last->all.images;
  out.first_epoch = first->epoch;
  out.main = change_between(ends, nullptr, record.main_metric);
  out.drift = ends.last->kl;
  out.seconds = last->number("wall_s");
  compare_categories(ends, out);
  compare_metrics(ends, out);
  warn_of_fall(record, out);
  judge(out);
  return out;
}

}  // namespace rsm::report
