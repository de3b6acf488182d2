#include <algorithm>
#include <cctype>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {
namespace {

constexpr int kBarWidth = 24;
constexpr size_t kMostNames = 3;  ///< of categories in a sentence

std::string capital(std::string name) {
  if (!name.empty()) {
    name[0] =
        static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  }
  return name;
}

/** With which the error's first two digits are seen, and a sure gain is not
 * shown as 0; at least three. */
int decimals_of(const Change& change) {
  constexpr int kLeast = 3, kMost = 15;
  const double error = change.error.shown();
  const double seen = error > 0 ? error : std::abs(change.gain());
  if (!(seen > 0) || !std::isfinite(seen)) return kLeast;
  return std::clamp(1 - static_cast<int>(std::floor(std::log10(seen))), kLeast,
                    kMost);
}

/** "diversity -0.020 ± 0.003" */
std::string named(const NamedChange& one) {
  return one.name + " " + gain_text(one.change);
}

/** The first few. */
std::string named_changes(std::vector<NamedChange> changes) {
  changes.resize(std::min(changes.size(), kMostNames));
  std::vector<std::string> words;
  for (const auto& one : changes) words.push_back(named(one));
  return join(words);
}

/** '#' what there was and is, '+' what came, '-' what went, '.' the rest; ""
 * of numbers that are no shares. */
std::string bar(double before, double after) {
  if (!std::isfinite(after)) after = before;
  if (!std::isfinite(before)) before = after;
  const auto [low, high] = std::minmax(before, after);
  if (!(low >= 0 && high <= 1)) return "";
  const auto cells = [](double share) {
    return static_cast<size_t>(std::lround(share * kBarWidth));
  };
  std::string out(kBarWidth, '.');
  std::fill_n(out.begin(), cells(high), after > before ? '+' : '-');
  std::fill_n(out.begin(), cells(low), '#');
  return "[" + out + "]";
}

TextTable category_table(const RunSummary& summary) {
  TextTable out = {{"category", "before", "after", "change", ""}, {}};
  for (const auto& [name, change] : summary.categories) {
    out.rows.push_back(
        {name, format_fixed(change.before, 3), format_fixed(change.after, 3),
         format_signed(change.gain(), 3), bar(change.before, change.after)});
  }
  return out;
}

/** Whether one metric is another with its sign changed, as a size that the
 * reward wants small. */
bool mirrors(const Change& a, const Change& b) {
  constexpr double kAlike = 1e-4;  // scores are rounded one by one
  return std::abs(a.gain() + b.gain()) <= kAlike * std::abs(a.gain()) &&
         std::abs(a.error.shown() - b.error.shown()) <=
             kAlike * a.error.shown();
}

}  // namespace

std::string verdict_text(const RunSummary& summary) {
  switch (summary.verdict) {
    case RunSummary::Verdict::better:
      return "The model got better";
    case RunSummary::Verdict::same:
      return "No clear change";
    case RunSummary::Verdict::worse:
      return "The model got worse";
    case RunSummary::Verdict::suspicious:
      return "Better by its score, but look at the pictures";
    case RunSummary::Verdict::unclaimed:
      return "No claim: the error of the change is not known";
    case RunSummary::Verdict::unknown:
      break;
  }
  return "No result yet";
}

std::string gain_text(const Change& change) {
  constexpr int kMostPlain = 6;
  const int decimals = decimals_of(change);
  const bool plain = decimals <= kMostPlain;
  const double gain = change.gain();
  std::string out = plain ? format_signed(gain, decimals)
                          : (gain > 0 ? "+" : "") + format_short(gain);
  if (change.error.is_known()) {
    const double error = change.error.shown();
    out +=
        " ± " + (plain ? format_fixed(error, decimals) : format_short(error));
  }
  return out;
}

std::string headline(const RunSummary& summary) {
  const auto& main = summary.main;
  if (!std::isfinite(main.before) && !std::isfinite(main.after)) {
    return "No evaluation in the log yet";
  }
  const std::string pictures =
      summary.images > 0 ? format_count(summary.images) + " " : "";
  std::string out = capital(summary.metric) +
                    (summary.metric == kTrainedMetric ? "" : " score") +
                    " on " + pictures + "held-out pictures";
  if (summary.verdict == RunSummary::Verdict::unknown) {
    const bool known = std::isfinite(main.before);
    const bool at_start = known && summary.first_epoch == 0;
    return out + (at_start ? " before training: " : ": ") +
           format_fixed(known ? main.before : main.after, 3);
  }
  const int decimals = decimals_of(main);
  out += ": " + format_fixed(main.before, decimals) + " → " +
         format_fixed(main.after, decimals) + " (" + gain_text(main) + ")";
  if (summary.first_epoch > 0) out += cat(" since epoch ", summary.first_epoch);
  if (std::isfinite(summary.seconds)) {
    out += " in " + format_duration(summary.seconds);
  }
  return out;
}

std::string category_sentence(const RunSummary& summary) {
  const bool known = summary.main.error.is_known();
  if (!known || summary.categories.size() < 2) return "";
  std::vector<NamedChange> gained, lost;
  for (const auto& category : summary.categories) {
    const int sign = category.change.sign(summary.categories.size());
    if (sign > 0) gained.push_back(category);
    if (sign < 0) lost.insert(lost.begin(), category);
  }
  std::string out =
      gained.empty() ? "" : "Gained most: " + named_changes(gained) + ".";
  if (!lost.empty()) {
    out += (out.empty() ? "" : " ") + ("Lost: " + named_changes(lost) + ".");
  }
  return out.empty() ? "No category changed clearly." : out;
}

std::string price_sentence(const RunSummary& summary) {
  const auto* trained = summary.change_of(kTrainedMetric);
  if (trained == nullptr || trained->change.sign() <= 0) return "";
  const auto& all = summary.metrics;
  std::vector<std::string> fell, rose;
  for (const auto& metric : all) {
    const int sign = metric.change.sign(all.size());
    const auto words = named(metric);
    const auto& watched = summary.watched;
    const bool is_watched =
        std::find(watched.begin(), watched.end(), metric.name) != watched.end();
    const bool mirrored =
        std::any_of(all.begin(), all.end(), [&](const NamedChange& other) {
          return mirrors(other.change, metric.change);
        });
    if (sign < 0 && !is_watched && !mirrored) fell.push_back(words);
    if (sign > 0 && is_watched) rose.push_back(words);
  }
  std::string out;
  if (!fell.empty()) out += ", clearly fell: " + join(fell);
  if (!rose.empty()) out += ", clearly rose: " + join(rose);
  if (out.empty()) return "";
  return cat("While the trained ", kTrainedMetric, " rose by ",
             gain_text(trained->change), out, ".");
}

std::string change_word(const Change& change, size_t statements) {
  if (!change.error.is_known()) return "";
  const int sign = change.sign(statements);
  return sign > 0 ? "rose" : (sign < 0 ? "fell" : "no clear change");
}

TextTable metric_table(const RunSummary& summary) {
  TextTable out = {{"metric", "before", "after", "change", ""}, {}};
  if (summary.verdict == RunSummary::Verdict::unknown) return out;
  for (const auto& [name, change] : summary.metrics) {
    out.rows.push_back({name + (name == kTrainedMetric ? " (trained)" : ""),
                        format_short(change.before), format_short(change.after),
                        gain_text(change),
                        change_word(change, summary.metrics.size())});
  }
  return out;
}

std::string warning_text(const WarningGroup& warning) {
  const auto& [text, epochs, first, last] = warning;
  if (epochs == 0) return text;
  if (epochs == 1) return cat(text, " (in epoch ", last, ")");
  return cat(text, " (in ", epochs, " epochs, ", first, " to ", last, ")");
}

std::string summary_text(const RunRecord& record) {
  const auto summary = summarise(record);
  std::string out = verdict_text(summary) + ".\n" + headline(summary) + ".\n";
  out += "\n" + table_text(category_table(summary)) +
         table_text(metric_table(summary));
  if (const auto words = price_sentence(summary); !words.empty()) {
    out += words + "\n";
  }
  std::vector<std::string> rest;
  for (const auto& [name, ratio, bad] : watched_of(summary)) {
    rest.push_back(
        cat(name, " ", format_fixed(ratio, 2), " times what it was"));
  }
  if (std::isfinite(summary.drift)) {
    rest.push_back("drift " + format_short(summary.drift) +
                   " (KL per latent element)");
  }
  rest.push_back(cat(summary.finished ? "finished at" : "so far at", " epoch ",
                     summary.epoch));
  out += capital(join(rest, "; ")) + ".\n";
  for (const auto& warning : summary.warnings) {
    out += "warning: " + warning_text(warning) + "\n";
  }
  return plain_signs(out);
}

}  // namespace rsm::report
