#include "rsm/compare/comparison_tables.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {
namespace {

std::string score(double value) { return format_fixed(value, kScoreDecimals); }

std::string count_text(double value) {
  return std::isfinite(value) ? format_count(std::llround(value)) : "n/a";
}

std::string of_all(int64_t count, int64_t all) {
  return cat(count, " of ", all);
}

/** A mean and deviation over seeds; says so where runs are missing. */
std::string mean_text(const SeedStatistics& statistics, size_t runs) {
  std::string out = score(statistics.mean);
  if (std::isfinite(statistics.deviation)) {
    out += " ± " + score(statistics.deviation);
  }
  const auto all = static_cast<int64_t>(runs);
  const bool some = statistics.count > 0 && statistics.count < all;
  return out + (some ? " (" + of_all(statistics.count, all) + ")" : "");
}

std::string with_error(const std::string& mean, const MeanError& error) {
  if (!error.is_known()) return mean;
  return mean + " ± " + score(error.shown());
}

/** The same; with a single run, its pictures' error and a star. */
std::string after_text(const SettingResult& setting) {
  const auto out = mean_text(setting.after, setting.runs.size());
  const auto& error = setting.runs.front().error;
  if (setting.runs.size() > 1 || !error.is_known()) return out;
  return with_error(out, error) + "*";
}

std::string run_gain(const RunResult& run) {
  return gain_text({run.before, run.after, run.gain_error, run.error});
}

std::string setting_gain(const SettingResult& setting, Width width) {
  const auto& first = setting.runs.front();
  const bool known = first.gain_error.is_known();
  if (known && width == Width::page && setting.runs.size() == 1) {
    return run_gain(first) + "*";
  }
  return format_signed(setting.gain.mean, kScoreDecimals);
}

std::string ratio_text(double ratio) {
  if (!std::isfinite(ratio)) return "n/a";
  return format_fixed(ratio, ratio < 9.95 ? 1 : 0) + "×";
}

using Format = std::string (*)(double);

/** Infinity is an event that never came. */
std::string milestone(double value, Format format) {
  return std::isinf(value) ? "never" : format(value);
}

/** "1 min 20 s", the median, and the range of several runs. */
std::string milestone_text(const SeedStatistics& statistics, Format format,
                           bool with_range) {
  const auto median = milestone(statistics.median, format);
  const bool alike = !(statistics.low < statistics.high);
  if (alike || !with_range) return median;
  return median + " (" + milestone(statistics.low, format) + "–" +
         milestone(statistics.high, format) + ")";
}

/** As it was given: nothing of a target is rounded away. */
std::string target_text(const Comparison& comparison) {
  return std::isfinite(comparison.target) ? cat(comparison.target) : "n/a";
}

const SettingResult* soonest(const Comparison& comparison) {
  const SettingResult* out = nullptr;
  const auto median = [](const SettingResult& setting) {
    return setting.to_target.seconds.median;
  };
  for (const auto& setting : comparison.settings) {
    if (!std::isfinite(median(setting))) continue;
    if (out == nullptr || median(setting) < median(*out)) out = &setting;
  }
  return out;
}

std::string plural(size_t count, const std::string& noun) {
  return cat(count, " ", noun, count == 1 ? "" : "s");
}

std::string soonest_text(const Comparison& comparison) {
  const auto* first = soonest(comparison);
  if (first == nullptr) return "";
  std::string out =
      cat("Soonest to ", target_text(comparison), ": ", first->label(), ", in ",
          format_duration(first->to_target.seconds.median));
  if (std::isfinite(first->sooner) && first->label() != comparison.baseline) {
    out += ", " + ratio_text(first->sooner) + " sooner than " +
           comparison.baseline;
  }
  return out + (first->runs.size() == 1 ? " (one seed)." : ".");
}

/** How sure it is that the first is ahead of the second. */
std::string lead_text(const Comparison& comparison) {
  if (comparison.settings.size() < 2) return "";
  const auto& second = comparison.settings[1];
  const auto& lag = second.lag;
  if (!std::isfinite(lag.difference)) return "";
  const auto by = gain_text({0, lag.difference, lag.error});
  if (!lag.error.is_known()) {
    return cat(", by ", by, " above ", second.label(),
               ", of which no error is known");
  }
  if (!lag.is_sure()) {
    return cat(", not clearly above ", second.label(), ", ",
               score(second.after.mean));
  }
  return cat(", above ", second.label(), " by ", by,
             lag.one_seed() ? " (one seed)" : "");
}

/** Never cuts a letter of several bytes in two. */
std::string cut(const std::string& text, size_t letters) {
  constexpr size_t kDots = 3;
  if (text.size() <= letters) return text;
  const auto inside = [&](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  size_t end = letters - kDots;
  while (end > 0 && inside(end)) --end;
  return text.substr(0, end) + "...";
}

bool any_star(const Comparison& comparison) {
  return std::any_of(comparison.settings.begin(), comparison.settings.end(),
                     [](const SettingResult& setting) {
                       return setting.runs.size() == 1 &&
                              setting.runs.front().error.is_known();
                     });
}

}  // namespace

TextTable result_table(const Comparison& comparison, Width width) {
  TextTable out;
  out.head = {"setting", "seeds", "before", "after", "gain", "drift"};
  for (const auto& name : comparison.watched) out.head.push_back(name);
  out.head.push_back("at drift " + format_short(comparison.kl));
  for (const auto& s : comparison.settings) {
    out.rows.push_back({s.label(), cat(s.runs.size()), score(s.before.mean),
                        after_text(s), setting_gain(s, width),
                        format_short(s.kl.mean)});
    auto& row = out.rows.back();
    for (const auto& ratio : s.watched) {
      row.push_back(ratio_text(ratio.mean));
    }
    row.push_back(mean_text(s.at_kl, s.runs.size()));
  }
  return out;
}

TextTable cost_table(const Comparison& comparison) {
  TextTable out;
  out.head = {"setting", "training time", "pictures", "evaluations"};
  for (const auto& s : comparison.settings) {
    out.rows.push_back({s.label(), format_duration(s.spent.seconds.mean),
                        count_text(s.spent.images.mean),
                        count_text(s.spent.evaluations.mean)});
  }
  return out;
}

TextTable target_table(const Comparison& comparison, Width width) {
  const bool wide = width == Width::page;
  TextTable out;
  out.head = {"to " + target_text(comparison),
              "reached",
              "training time",
              "pictures",
              "evaluations",
              "sooner"};
  if (std::isnan(comparison.target)) return out;
  for (const auto& s : comparison.settings) {
    out.rows.push_back(
        {s.label(), of_all(s.reached, static_cast<int64_t>(s.runs.size())),
         milestone_text(s.to_target.seconds, format_duration, true),
         milestone_text(s.to_target.images, count_text, wide),
         milestone_text(s.to_target.evaluations, count_text, wide),
         ratio_text(s.sooner)});
  }
  return out;
}

TextTable run_table(const Comparison& comparison) {
  TextTable out;
  out.head = {"run", "setting", "seed", "before", "after", "gain", "drift"};
  for (const auto& name : comparison.watched) out.head.push_back(name);
  for (const char* name :
       {"at drift", "to target", "training time", "pictures", "evaluations"}) {
    out.head.emplace_back(name);
  }
  for (const auto& s : comparison.settings) {
    for (size_t i = 0; i < s.runs.size(); ++i) {
      const auto& run = s.setting.runs[i];
      const auto& result = s.runs[i];
      std::vector<std::string> row = {
          run.folder,
          s.label(),
          cat(run.seed),
          score(result.before),
          with_error(score(result.after), result.error),
          run_gain(result),
          format_short(result.kl)};
      for (const auto& watched : result.watched) {
        row.push_back(ratio_text(watched.ratio));
      }
      for (const auto& text :
           {score(result.at_kl),
            milestone(result.to_target.seconds, format_duration),
            format_duration(result.spent.seconds),
            count_text(result.spent.images),
            count_text(result.spent.evaluations)}) {
        row.push_back(text);
      }
      out.rows.push_back(std::move(row));
    }
  }
  return out;
}

TextTable setting_table(const Comparison& comparison) {
  std::vector<Setting> settings;
  for (const auto& result : comparison.settings) {
    settings.push_back(result.setting);
  }
  TextTable out;
  out.head = differing_keys(settings);
  if (out.head.empty()) return {};
  for (const auto& setting : settings) {
    std::vector<std::string> row = {setting.label};
    for (const auto& key : out.head) {
      row.push_back(setting.runs.front().value(key));
    }
    out.rows.push_back(std::move(row));
  }
  out.head.insert(out.head.begin(), "setting");
  return out;
}

std::vector<std::string> reading_notes(const Comparison& comparison) {
  std::vector<std::string> out = {
      cat("Before, after: mean ", comparison.metric,
          " score of held-out pictures over seeds, ± the sample standard "
          "deviation.")};
  if (any_star(comparison)) {
    out.emplace_back(
        "* one seed: ± the error over its pictures, which says nothing of "
        "other seeds.");
  }
  for (const char* note :
       {"Drift: KL to the base model per latent element.",
        "At drift: the score where a run first drifted so far; unless asked "
        "for, the smallest drift at which a run ended.",
        "Training time leaves evaluations out. Pictures: sampled for training. "
        "Evaluations: of the network, by sample."}) {
    out.emplace_back(note);
  }
  for (const auto& name : comparison.watched) {
    const bool is_diversity = name == "diversity";
    out.push_back(cat(
        "Column ", name, ": against what it was before training",
        is_diversity ? ", how much pictures of one prompt differ" : "", "."));
  }
  if (!std::isnan(comparison.target)) {
    out.emplace_back(
        "To the target: first crossing, on straight lines between evaluations; "
        "median over seeds (lowest to highest), runs that never reached it "
        "counting as latest.");
  }
  if (!comparison.baseline.empty()) {
    out.push_back("Sooner: in training time, than " + comparison.baseline +
                  ".");
  }
  return out;
}

std::vector<std::string> headlines(const Comparison& comparison) {
  const auto& best = comparison.settings.front();
  if (std::isnan(best.after.mean)) return {"No result yet."};
  std::vector<std::string> out = {
      cat("Highest ", comparison.metric, " score: ", best.label(), ", ",
          after_text(best), " (before: ", score(best.before.mean), ")",
          lead_text(comparison), ".")};
  if (auto text = soonest_text(comparison); !text.empty()) {
    out.push_back(std::move(text));
  }
  return out;
}

std::vector<std::string> short_names(const Comparison& comparison,
                                     size_t letters) {
  std::vector<std::string> plain, numbered;
  bool all_short = true;
  for (const auto& setting : comparison.settings) {
    plain.push_back(setting.label());
    numbered.push_back(cut(cat(plain.size(), " ", plain.back()), letters));
    all_short = all_short && plain.back().size() <= letters;
  }
  return all_short ? plain : numbered;
}

std::string size_text(const Comparison& comparison) {
  size_t runs = 0;
  for (const auto& setting : comparison.settings) runs += setting.runs.size();
  return plural(comparison.settings.size(), "setting") + ", " +
         plural(runs, "run");
}

}  // namespace rsm::report
