#include "rsm/compare/comparison_data.h"

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/compare/pareto.h"
#include "rsm/io/json_text.h"
#include "rsm/plot/text_table.h"

namespace rsm::report {
namespace {

using nlohmann::json;

/** Columns of compare.csv, and where a setting's JSON has them. */
using Column = std::pair<const char*, const char*>;
constexpr std::array<Column, 12> kResults = {
    {{"label", "/label"},
     {"seeds", "/seeds"},
     {"metric", "/metric"},
     {"before", "/before/mean"},
     {"after", "/after/mean"},
     {"after_sd", "/after/sd"},
     {"after_se_one_seed", "/after_se_one_seed"},
     {"gain", "/gain/mean"},
     {"gain_se_one_seed", "/gain_se_one_seed"},
     {"behind_best", "/behind_best/difference"},
     {"behind_best_se", "/behind_best/se"},
     {"kl", "/kl/mean"}}};
constexpr std::array<Column, 19> kCosts = {
    {{"train_s", "/spent/train_s/mean"},
     {"images", "/spent/images/mean"},
     {"evals", "/spent/evals/mean"},
     {"equal_kl", "/equal_kl"},
     {"at_equal_kl", "/at_kl/mean"},
     {"at_equal_kl_sd", "/at_kl/sd"},
     {"at_equal_kl_seeds", "/at_kl/seeds"},
     {"target", "/target"},
     {"target_reached", "/reached"},
     {"target_train_s", "/to_target/train_s/median"},
     {"target_train_s_low", "/to_target/train_s/low"},
     {"target_train_s_high", "/to_target/train_s/high"},
     {"target_images", "/to_target/images/median"},
     {"target_images_low", "/to_target/images/low"},
     {"target_images_high", "/to_target/images/high"},
     {"target_evals", "/to_target/evals/median"},
     {"target_evals_low", "/to_target/evals/low"},
     {"target_evals_high", "/to_target/evals/high"},
     {"sooner", "/sooner"}}};

/** Adds a cell for what stands there, "" for null and what is missing. */
void add_cell(const json& row, const json::json_pointer& place,
              std::vector<std::string>& out) {
  const auto value = row.contains(place) ? row[place] : json();
  out.push_back(value.is_null()             ? ""
                : value.is_string()         ? value.get<std::string>()
                : value.is_number_integer() ? value.dump()
                                            : exact_text(value.get<double>()));
}

json to_json(const Cost& cost) {
  return {{"train_s", finite_or_null(cost.seconds)},
          {"images", finite_or_null(cost.images)},
          {"evals", finite_or_null(cost.evaluations)}};
}

json to_json(const SeedStatistics& spread) {
  return {{"seeds", spread.count},
          {"mean", finite_or_null(spread.mean)},
          {"sd", finite_or_null(spread.deviation)},
          {"median", finite_or_null(spread.median)},
          {"low", finite_or_null(spread.low)},
          {"high", finite_or_null(spread.high)}};
}

json to_json(const CostStatistics& spread) {
  return {{"train_s", to_json(spread.seconds)},
          {"images", to_json(spread.images)},
          {"evals", to_json(spread.evaluations)}};
}

json to_json(const Lag& lag, size_t statements) {
  if (!std::isfinite(lag.difference)) return nullptr;
  static const std::map<Lag::Over, std::string> over = {
      {Lag::Over::seeds, "seeds"},
      {Lag::Over::seeds_and_pictures, "seeds and pictures"},
      {Lag::Over::pictures, "pictures"}};
  return {{"difference", lag.difference},
          {"se", finite_or_null(lag.error.standard)},
          {"freedom", finite_or_null(lag.error.freedom)},
          {"over", over.at(lag.over)},
          {"paired", lag.paired},
          {"sure", lag.is_sure(statements)}};
}

json to_json(const ComparedRun& run, const RunResult& result) {
  json out = {{"folder", run.folder},
              {"seed", run.seed},
              {"finished", run.finished},
              {"before", finite_or_null(result.before)},
              {"after", finite_or_null(result.after)},
              {"after_se", finite_or_null(result.error.standard)},
              {"gain_se", finite_or_null(result.gain_error.standard)},
              {"kl", finite_or_null(result.kl)},
              {"at_kl", finite_or_null(result.at_kl)},
              {"spent", to_json(result.spent)},
              {"to_target", to_json(result.to_target)}};
  for (const auto& watched : result.watched) {
    out[watched.name + "_ratio"] = finite_or_null(watched.ratio);
  }
  return out;
}

json to_json(const SettingResult& setting, const Comparison& comparison) {
  json runs = json::array();
  for (size_t i = 0; i < setting.runs.size(); ++i) {
    runs.push_back(to_json(setting.setting.runs[i], setting.runs[i]));
  }
  const bool one = setting.runs.size() == 1;
  const auto of_one = [&](const char* key) {
    return one ? runs[0][key] : json();
  };
  json out = {{"label", setting.label()},
              {"seeds", setting.runs.size()},
              {"after_se_one_seed", of_one("after_se")},
              {"gain_se_one_seed", of_one("gain_se")},
              {"before", to_json(setting.before)},
              {"after", to_json(setting.after)},
              {"gain", to_json(setting.gain)},
              {"kl", to_json(setting.kl)},
              {"at_kl", to_json(setting.at_kl)},
              {"spent", to_json(setting.spent)},
              {"reached", setting.reached},
              {"to_target", to_json(setting.to_target)},
              {"sooner", finite_or_null(setting.sooner)},
              {"behind_best", to_json(setting.lag, comparison.pairs())},
              {"runs", runs}};
  for (size_t i = 0; i < setting.watched.size(); ++i) {
    out[comparison.watched[i] + "_ratio"] = to_json(setting.watched[i]);
  }
  return out;
}

json front_json(const Comparison& comparison) {
  json out = json::array();
  for (const auto& point : front_points(comparison)) {
    if (!point.best_by_drift && !point.best_by_loss) continue;
    out.push_back({{"label", comparison.settings[point.setting].label()},
                   {"epoch", point.epoch},
                   {"score", point.score},
                   {"kl", finite_or_null(point.kl)},
                   {"kept", finite_or_null(point.kept)},
                   {"best_by_drift", point.best_by_drift},
                   {"best_by_loss", point.best_by_loss}});
  }
  return out;
}

}  // namespace

std::string exact_text(double value) {
  if (!std::isfinite(value)) return "";
  std::array<char, 32> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end.ptr);
}

json to_json(const Comparison& comparison) {
  json settings = json::array();
  for (const auto& setting : comparison.settings) {
    settings.push_back(to_json(setting, comparison));
  }
  return {{"metric", comparison.metric},
          {"target", finite_or_null(comparison.target)},
          {"kl", finite_or_null(comparison.kl)},
          {"baseline", comparison.baseline},
          {"settings", settings},
          {"front", front_json(comparison)},
          {"warnings", comparison.warnings}};
}

std::string settings_csv(const Comparison& comparison) {
  const auto all = to_json(comparison);
  std::vector<std::pair<std::string, json::json_pointer>> columns;
  for (const auto& [name, place] : kResults) {
    columns.emplace_back(name, json::json_pointer(place));
  }
  for (const auto& name : comparison.watched) {
    const auto ratio = name + "_ratio";
    columns.emplace_back(ratio, json::json_pointer() / ratio / "mean");
  }
  for (const auto& [name, place] : kCosts) {
    columns.emplace_back(name, json::json_pointer(place));
  }
  TextTable table;
  for (const auto& [name, place] : columns) table.head.push_back(name);
  for (auto row : all["settings"]) {
    row.update({{"metric", all["metric"]},
                {"target", all["target"]},
                {"equal_kl", all["kl"]}});
    auto& cells = table.rows.emplace_back();
    for (const auto& [name, place] : columns) add_cell(row, place, cells);
  }
  return table_csv(table);
}

std::string curves_csv(const Comparison& comparison) {
  TextTable table;
  table.head = {"label",   "run",    "seed",  "epoch",
                "train_s", "images", "evals", "kl"};
  std::set<std::string> metrics;
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.setting.runs) {
      metrics.merge(metrics_of(run));
    }
  }
  table.head.insert(table.head.end(), metrics.begin(), metrics.end());
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.setting.runs) {
      for (const auto* line : run.evaluated()) {
        const auto cost = line->cost();
        auto& row = table.rows.emplace_back(std::vector<std::string>{
            setting.label(), run.folder, cat(run.seed), cat(line->epoch),
            exact_text(cost.seconds), exact_text(cost.images),
            exact_text(cost.evaluations), exact_text(line->evaluation->kl)});
        for (const auto& metric : metrics) {
          row.push_back(exact_text(line->evaluation->all.metric(metric)));
        }
      }
    }
  }
  return table_csv(table);
}

}  // namespace rsm::report
