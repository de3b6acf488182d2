#include "rsm/compare/comparison_warnings.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {
namespace {

/** What has to be equal for scores to compare. */
constexpr std::array<const char*, 16> kTask = {"model",
                                               "reward",
                                               "evaluation.guidance_scale",
                                               "sampling.negative_prompt",
                                               "sampling.steps",
                                               "prompts.train",
                                               "evaluation.prompts",
                                               "evaluation.images",
                                               "evaluation.steps",
                                               "evaluation.solver",
                                               "evaluation.sa.tau",
                                               "evaluation.sa.from",
                                               "evaluation.sa.to",
                                               "evaluation.sa.predictor_order",
                                               "evaluation.sa.corrector_order",
                                               "evaluation.drift_steps"};
/** What has to be equal, too, for drifts to compare. */
constexpr std::array<const char*, 1> kDrift = {"train.guidance_scale"};
/** What has to be equal, too, for times to compare. */
constexpr std::array<const char*, 2> kSpeed = {"compute.device",
                                               "compute.threads"};
/** What changes the last bits of an evaluation, besides the task. */
constexpr std::array<const char*, 7> kBits = {
    "compute.device",    "compute.rollout_tile", "compute.rollout_type",
    "compute.text_type", "compute.vae_type",     "prompts.t5",
    "prompts.t5_tokens"};
/** Curves of fewer evaluations say little about when a score was reached. */
constexpr size_t kFewEvaluations = 4;
/** More names than this are counted. */
constexpr size_t kMostNames = 4;

using Warnings = std::vector<std::string>;
using Names = std::vector<std::string>;

/** Quoted, since labels have commas of their own. */
std::string short_list(const Names& names) {
  const size_t shown = std::min(names.size(), kMostNames);
  Names words;
  for (size_t i = 0; i < shown; ++i) words.push_back("\"" + names[i] + "\"");
  const size_t rest = names.size() - shown;
  return join(words) + (rest > 0 ? cat(" and ", rest, " more") : "");
}

/** Every run with its setting, in the order of the settings. */
void for_each_run(const Comparison& comparison,
                  const std::function<void(const SettingResult&,
                                           const ComparedRun&)>& visit) {
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.setting.runs) visit(setting, run);
  }
}

/** "1 (name, name); 4 (name)"; "" where there is one value only. */
std::string difference(const std::map<std::string, Names>& by_value) {
  if (by_value.size() < 2) return "";
  std::vector<std::string> parts;
  for (const auto& [value, names] : by_value) {
    parts.push_back((value.empty() ? "nothing" : value) + " (" +
                    short_list(names) + ")");
  }
  return join(parts, "; ");
}

/** Of a run's config, or what stood for it before there was such a key. */
std::string value_of(const ComparedRun& run, const std::string& key) {
  const auto value = run.value(key);
  if (!value.empty()) return value;
  if (key == "evaluation.solver") return "euler";
  return key.ends_with(".guidance_scale") ? run.value("sampling.guidance_scale")
                                          : value;
}

std::string config_difference(const Comparison& comparison,
                              const std::string& key) {
  std::map<std::string, Names> by_value;
  for (const auto& setting : comparison.settings) {
    by_value[value_of(setting.setting.runs.front(), key)].push_back(
        setting.label());
  }
  return difference(by_value);
}

void warn_of_tasks(const Comparison& comparison, Warnings& out) {
  const auto warn = [&](const char* what, const char* key) {
    const auto values = config_difference(comparison, key);
    if (values.empty()) return;
    out.push_back(cat(what, ": ", key, " is ", values, "."));
  };
  for (const char* key : kTask) warn("Not the same task", key);
  for (const char* key : kDrift) warn("Drifts do not compare", key);
}

void warn_of_speeds(const Comparison& comparison, Warnings& out) {
  const auto warn = [&](const std::string& what, const std::string& values) {
    if (values.empty()) return;
    out.push_back(cat("Times do not compare: ", what, " is ", values, "."));
  };
  std::map<std::string, Names> machines;
  for_each_run(comparison, [&](const auto&, const ComparedRun& run) {
    machines[run.machine].push_back(run.folder);
  });
  warn("machine", difference(machines));
  for (const char* key : kSpeed) warn(key, config_difference(comparison, key));
}

/** What fixes a run's evaluation before training to the bit. */
std::vector<std::string> base_identity(const ComparedRun& run) {
  std::vector<std::string> out = {cat(run.seed), run.machine};
  for (const char* key : kTask) out.push_back(value_of(run, key));
  for (const char* key : kBits) out.push_back(run.value(key));
  return out;
}

void warn_of_bases(const Comparison& comparison, Warnings& out) {
  std::map<std::vector<std::string>, std::map<std::string, Names>> groups;
  for_each_run(comparison, [&](const auto&, const ComparedRun& run) {
    const auto points = run.evaluated();
    if (points.empty()) return;
    const double base =
        points.front()->evaluation->all.metric(comparison.metric);
    groups[base_identity(run)][format_fixed(base, 6)].push_back(run.folder);
  });
  for (const auto& [identity, by_value] : groups) {
    const auto values = difference(by_value);
    if (values.empty()) continue;
    out.push_back(cat("Not the same start: before training, with equal seeds, ",
                      comparison.metric, " is ", values,
                      "; the model or the prompts have changed in between."));
  }
}

void warn_of_unfinished(const Comparison& comparison, Warnings& out) {
  for_each_run(comparison,
               [&](const SettingResult& setting, const ComparedRun& run) {
                 if (run.finished) return;
                 const auto points = run.evaluated();
                 const int64_t last = points.empty() ? 0 : points.back()->epoch;
                 out.push_back(cat("Not finished: \"", run.folder, "\" (seed ",
                                   run.seed, " of \"", setting.label(),
                                   "\"), last evaluated at epoch ", last, "."));
               });
}

void warn_of_labels(const Comparison& comparison, Warnings& out) {
  for (const auto& setting : comparison.settings) {
    std::set<std::string> labels;
    for (const auto& run : setting.setting.runs) {
      if (!run.label.empty()) labels.insert(run.label);
    }
    if (labels.size() < 2) continue;
    out.push_back(cat("One setting under several names: ",
                      short_list({labels.begin(), labels.end()}),
                      " have the same config and share a row."));
  }
}

void warn_of_seeds(const Comparison& comparison, Warnings& out) {
  std::map<std::string, Names> by_seeds;
  for (const auto& setting : comparison.settings) {
    Names seeds;
    for (const auto& run : setting.setting.runs) seeds.push_back(cat(run.seed));
    by_seeds[join(seeds)].push_back(setting.label());
  }
  const auto values = difference(by_seeds);
  if (values.empty()) return;
  out.push_back("Not the same seeds: " + values + ".");
}

/** Whether the setting's mean is beyond the limit, and a run by more than
 * chance. */
bool is_bad(const SettingResult& setting, size_t watched) {
  const auto& name = setting.runs.front().watched[watched].name;
  const Change mean = {1, setting.watched[watched].mean};
  return watched_change(name, mean).bad &&
         std::any_of(setting.runs.begin(), setting.runs.end(),
                     [&](const auto& run) { return run.watched[watched].bad; });
}

void warn_of_watched(const Comparison& comparison, Warnings& out) {
  for (size_t i = 0; i < comparison.watched.size(); ++i) {
    const auto& metric = comparison.watched[i];
    const bool diversity = metric == "diversity";
    Names names;
    for (const auto& setting : comparison.settings) {
      if (!is_bad(setting, i)) continue;
      names.push_back(format_short(setting.watched[i].mean) + " times in \"" +
                      setting.label() + "\"");
    }
    if (names.empty()) continue;
    out.push_back(
        diversity
            ? cat("Pictures of one prompt differ far less than before "
                  "training: ",
                  join(names), "; such models may have settled on one picture.")
            : cat(metric,
                  " is far above what it was before training: ", join(names),
                  "; such scores may have been won by what the reward does not "
                  "see. Look at the pictures."));
  }
}

void warn_of_one_seed(const Comparison& comparison, Warnings& out) {
  Names names;
  for (const auto& setting : comparison.settings) {
    if (setting.runs.size() == 1) names.push_back(setting.label());
  }
  if (names.empty() || comparison.settings.size() < 2) return;
  out.push_back(cat("One seed: ", short_list(names),
                    names.size() == 1 ? " has" : " have",
                    " one seed; differences between settings include "
                    "seed-to-seed variation that one seed cannot show; the "
                    "error bars are those of the pictures."));
}

void warn_of_few_evaluations(const Comparison& comparison, Warnings& out) {
  std::map<size_t, Names> by_count;
  for_each_run(comparison, [&](const auto&, const ComparedRun& run) {
    const size_t count = run.evaluated().size();
    // A single one is an unfinished run's, which is named already.
    const bool few = count > 1 && count < kFewEvaluations;
    if (few) by_count[count].push_back(run.folder);
  });
  for (const auto& [count, names] : by_count) {
    out.push_back(
        cat("Coarse curves: ", short_list(names), " ",
            names.size() == 1 ? "has " : "have ", count,
            " evaluations; what lies between is a straight line's guess. A "
            "smaller evaluation.every makes more."));
  }
}

}  // namespace

std::vector<std::string> comparison_warnings(const Comparison& comparison) {
  Warnings out;
  for (const auto& warn :
       {warn_of_tasks, warn_of_bases, warn_of_one_seed, warn_of_unfinished,
        warn_of_watched, warn_of_speeds, warn_of_seeds, warn_of_labels,
        warn_of_few_evaluations}) {
    warn(comparison, out);
  }
  return out;
}

}  // namespace rsm::report
