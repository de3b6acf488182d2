#include "rsm/report/run_summary.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>

#include "rsm/base/error.h"
#include "rsm/report/format.h"

namespace rsm {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
/** Standard errors beyond which a change is called one: 95 %. */
constexpr double kSure = 2;
constexpr size_t kNameWidth = 16;
constexpr int kBarWidth = 24;

Change change_of(const Scores& before, const Scores& after,
                 const std::string& metric) {
  return {before.metric(metric), after.metric(metric),
          before.standard_error(metric), after.standard_error(metric)};
}

/** -1, 0 or 1; where no error is known every change counts. */
int sure_sign(const Change& change) {
  const double error = std::isfinite(change.error()) ? change.error() : 0;
  if (change.gain() > kSure * error) return 1;
  return change.gain() < -kSure * error ? -1 : 0;
}

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
      if (is_new) groups.push_back({text, 0, -1});
      auto& group = groups[place->second];
      if (group.last_epoch != line.epoch || is_new) ++group.epochs;
      group.text = text;
      group.last_epoch = line.epoch;
    }
  }
  return groups;
}

void compare_categories(const EvaluationRecord& first,
                        const EvaluationRecord& last, RunSummary& summary) {
  for (const auto& [name, now] : last.categories) {
    if (!std::isfinite(now.metric(summary.metric))) continue;
    const auto found = first.categories.find(name);
    const Scores before =
        found == first.categories.end() ? Scores() : found->second;
    const Scores after = &first == &last ? Scores() : now;
    const auto change = change_of(before, after, summary.metric);
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    summary.categories.push_back({words, now.images, change});
  }
  std::stable_sort(summary.categories.begin(), summary.categories.end(),
                   [](const CategoryChange& a, const CategoryChange& b) {
                     const double x = a.change.gain(), y = b.change.gain();
                     return std::isnan(y) ? !std::isnan(x) : x > y;
                   });
}

void find_best(const RunRecord& record, RunSummary& summary) {
  summary.best = kMissing;
  double error = 0;
  for (const auto& line : record.epochs) {
    if (!line.evaluation) continue;
    const auto& scores = line.evaluation->all;
    const double value = scores.metric(summary.metric);
    if (std::isfinite(value) && !(value <= summary.best)) {
      summary.best = value;
      summary.best_epoch = line.epoch;
      error = scores.standard_error(summary.metric);
    }
  }
  const Change fall = {summary.best, summary.main.after, error,
                       summary.main.error_after};
  if (std::isfinite(fall.error()) && sure_sign(fall) < 0) {
    summary.warnings.push_back(
        {cat("The score was better before: ", format_fixed(summary.best, 3),
             " at epoch ", summary.best_epoch, ", ",
             format_fixed(summary.main.after, 3), " at the end."),
         1, summary.best_epoch});
  }
}

void judge(RunSummary& summary) {
  using Verdict = RunSummary::Verdict;
  if (!std::isfinite(summary.main.gain())) return;
  const int sign = sure_sign(summary.main);
  summary.verdict = sign > 0   ? Verdict::better
                    : sign < 0 ? Verdict::worse
                               : Verdict::same;
  const bool painted = summary.texture_ratio() > kTextureLimit;
  const bool alike = summary.diversity_ratio() < kDiversityLimit;
  if (sign > 0 && (painted || alike)) summary.verdict = Verdict::suspicious;
  if (alike) {
    summary.warnings.push_back(
        {cat("Pictures of one prompt differ ",
             format_short(summary.diversity_ratio()),
             " times as much as the base model's: the model may be settling "
             "on one picture. Look at them; a stronger pull to the reference "
             "(beta) holds it back."),
         1, summary.epoch});
  }
  if (!painted) return;
  summary.warnings.push_back(
      {cat("Background texture is ", format_short(summary.texture_ratio()),
           " times the base model's: the score may have been won by patterns "
           "that the reward does not see. Look at the pictures; a stronger "
           "pull to the reference (beta) holds it back."),
       1, summary.epoch});
}

std::string capital(std::string name) {
  if (!name.empty()) {
    name[0] =
        static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  }
  return name;
}

/** "counting +0.312, position +0.280", at most three. */
std::string named_changes(const std::vector<CategoryChange>& changes) {
  std::vector<std::string> words;
  for (const auto& category : changes) {
    if (words.size() == 3) break;
    words.push_back(category.name + " " +
                    format_signed(category.change.gain(), 3));
  }
  return join(words);
}

/** '#' what there was and is, '+' what came, '-' what went, '.' the rest. */
std::string bar(const Change& change) {
  const auto cells = [](double value) {
    const double share = std::clamp(std::isfinite(value) ? value : 0, 0.0, 1.0);
    return static_cast<int>(std::lround(share * kBarWidth));
  };
  const bool has_before = std::isfinite(change.before);
  const bool has_after = std::isfinite(change.after);
  const int after = cells(has_after ? change.after : change.before);
  const int before = cells(has_before ? change.before : change.after);
  std::string out;
  for (int i = 0; i < kBarWidth; ++i) {
    if (i < std::min(before, after)) {
      out += '#';
    } else if (i < std::max(before, after)) {
      out += after > before ? '+' : '-';
    } else {
      out += '.';
    }
  }
  return "[" + out + "]";
}

std::string category_line(const CategoryChange& category) {
  const auto& change = category.change;
  std::string name = category.name.substr(0, kNameWidth);
  name.resize(kNameWidth, ' ');
  const bool compared = std::isfinite(change.after);
  std::string line = "  " + name + " " + format_fixed(change.before, 3) + "  ";
  if (compared) {
    line.insert(line.size() - 2, " -> " + format_fixed(change.after, 3));
    line += format_signed(change.gain(), 3) + "  ";
  }
  const auto in_range = [](double value) {
    return !std::isfinite(value) || (value >= 0 && value <= 1);
  };
  const bool is_share = in_range(change.before) && in_range(change.after);
  return line + (is_share ? bar(change) : "") + "\n";
}

}  // namespace

double Change::error() const { return std::hypot(error_before, error_after); }

double RunSummary::texture_ratio() const {
  return texture_before > 0 ? texture_after / texture_before : kMissing;
}

double RunSummary::diversity_ratio() const {
  return diversity_before > 0 ? diversity_after / diversity_before : kMissing;
}

RunSummary summarise(const RunRecord& record) {
  RunSummary out;
  out.metric = record.main_metric;
  out.finished = record.finished;
  out.warnings = log_warnings(record);
  out.main = {kMissing, kMissing, kMissing, kMissing};
  out.best = out.texture_before = out.texture_after = kMissing;
  out.diversity_before = out.diversity_after = kMissing;
  out.drift = out.seconds = kMissing;
  if (!record.epochs.empty()) out.epoch = record.epochs.back().epoch;
  const auto* first = record.first_evaluation();
  const auto* last = record.last_evaluation();
  if (first == nullptr) return out;
  const Scores& before = first->evaluation->all;
  const Scores after = first == last ? Scores() : last->evaluation->all;
  out.images = last->evaluation->all.images;
  out.main = change_of(before, after, record.main_metric);
  out.texture_before = before.metric("texture");
  out.texture_after = after.metric("texture");
  out.diversity_before = before.metric("diversity");
  out.diversity_after = after.metric("diversity");
  out.drift = last->evaluation->kl;
  out.seconds = last->number("wall_s");
  compare_categories(*first->evaluation, *last->evaluation, out);
  find_best(record, out);
  judge(out);
  return out;
}

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
    case RunSummary::Verdict::unknown:
      break;
  }
  return "No result yet";
}

std::string headline(const RunSummary& summary, const std::string& arrow,
                     const std::string& plus_minus) {
  const auto& main = summary.main;
  if (!std::isfinite(main.before) && !std::isfinite(main.after)) {
    return "No evaluation in the log yet";
  }
  const std::string pictures =
      summary.images > 0 ? format_count(summary.images) + " " : "";
  std::string out = capital(summary.metric) +
                    (summary.metric == "reward" ? "" : " score") + " on " +
                    pictures + "held-out pictures";
  if (summary.verdict == RunSummary::Verdict::unknown) {
    const bool known = std::isfinite(main.before);
    return out + (known ? " before training: " : ": ") +
           format_fixed(known ? main.before : main.after, 3);
  }
  out += ": " + format_fixed(main.before, 3) + " " + arrow + " " +
         format_fixed(main.after, 3) + " (" + format_signed(main.gain(), 3);
  if (std::isfinite(main.error())) {
    out += " " + plus_minus + " " + format_fixed(main.error(), 3);
  }
  out += ")";
  if (std::isfinite(summary.seconds)) {
    out += " in " + format_duration(summary.seconds);
  }
  return out;
}

std::string category_sentence(const RunSummary& summary) {
  std::vector<CategoryChange> gained, lost;
  if (summary.verdict == RunSummary::Verdict::unknown) return "";
  for (const auto& category : summary.categories) {
    const int sign = sure_sign(category.change);
    if (sign > 0) gained.push_back(category);
    if (sign < 0) lost.insert(lost.begin(), category);
  }
  if (summary.categories.empty()) return "";
  std::string out =
      gained.empty() ? "" : "Gained most: " + named_changes(gained) + ".";
  if (!lost.empty()) {
    out += (out.empty() ? "" : " ") + ("Lost: " + named_changes(lost) + ".");
  }
  return out.empty() ? "No category changed clearly." : out;
}

std::string texture_sentence(const RunSummary& summary,
                             const std::string& times) {
  if (!std::isfinite(summary.texture_after)) return "";
  if (!std::isfinite(summary.texture_ratio())) {
    return "background texture " + format_short(summary.texture_after);
  }
  return "background texture " +
         format_fixed(summary.texture_ratio(),
                      summary.texture_ratio() < 9.95 ? 1 : 0) +
         times + " the base model's";
}

std::string summary_text(const RunRecord& record) {
  const auto summary = summarise(record);
  std::string out = verdict_text(summary) + ".\n" + headline(summary) + ".\n";
  for (const auto& category : summary.categories) {
    out += category_line(category);
  }
  std::vector<std::string> rest;
  if (const auto texture = texture_sentence(summary); !texture.empty()) {
    rest.push_back(capital(texture));
  }
  if (std::isfinite(summary.diversity_ratio())) {
    rest.push_back(cat("diversity ", format_fixed(summary.diversity_ratio(), 2),
                       "x the base model's"));
  }
  if (std::isfinite(summary.drift)) {
    rest.push_back("drift " + format_short(summary.drift) +
                   " (KL per latent element)");
  }
  rest.push_back(cat(summary.finished ? "finished at" : "so far at", " epoch ",
                     summary.epoch));
  out += join(rest, "; ") + ".\n";
  for (const auto& warning : summary.warnings) {
    out += "warning: " + warning.text;
    if (warning.epochs > 1) {
      out += cat(" (in ", warning.epochs, " epochs, last in ",
                 warning.last_epoch, ")");
    }
    out += "\n";
  }
  return out;
}

}  // namespace rsm
