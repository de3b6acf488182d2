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

namespace rsm::report {
namespace {

using nlohmann::json;

/** Names and values in the order of the columns. */
using Row = std::vector<std::pair<std::string, std::string>>;

/** The shortest text that reads back as the number. */
std::string exact(double value) {
  if (!std::isfinite(value)) return "";
  std::array<char, 32> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end.ptr);
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string csv(const std::vector<Row>& rows) {
  std::string out;
  const auto add = [&](const Row& row, std::string Row::value_type::*part) {
    std::vector<std::string> cells;
    for (const auto& cell : row) cells.push_back(quoted(cell.*part));
    out += join(cells, ",") + "\n";
  };
  if (!rows.empty()) add(rows.front(), &Row::value_type::first);
  for (const auto& row : rows) add(row, &Row::value_type::second);
  return out;
}

void add_milestone(const std::string& name, const Spread& spread, Row& row) {
  row.emplace_back("target_" + name, exact(spread.median));
  row.emplace_back("target_" + name + "_low", exact(spread.low));
  row.emplace_back("target_" + name + "_high", exact(spread.high));
}

/** NaN where a log has a wider one only. */
double standard_error(const MeanError& error) {
  return std::isnan(error.freedom) ? Spread::kMissing : error.standard;
}

Row setting_row(const SettingResult& s, const Comparison& comparison) {
  const bool one = s.runs.size() == 1;
  const auto error = one ? s.runs.front().error : MeanError{};
  const auto gain_error = one ? s.runs.front().gain_error : MeanError{};
  Row row = {{"label", s.label()},
             {"seeds", cat(s.runs.size())},
             {"metric", comparison.metric},
             {"before", exact(s.before.mean)},
             {"after", exact(s.after.mean)},
             {"after_sd", exact(s.after.deviation)},
             {"after_se_one_seed", exact(standard_error(error))},
             {"gain", exact(s.gain.mean)},
             {"gain_se_one_seed", exact(standard_error(gain_error))},
             {"behind_best", exact(s.lag.difference)},
             {"behind_best_se", exact(standard_error(s.lag.error))},
             {"kl", exact(s.kl.mean)}};
  for (size_t i = 0; i < s.watched.size(); ++i) {
    row.emplace_back(comparison.watched[i] + "_ratio",
                     exact(s.watched[i].mean));
  }
  const Row rest = {{"train_s", exact(s.spent.seconds.mean)},
                    {"images", exact(s.spent.images.mean)},
                    {"evals", exact(s.spent.evaluations.mean)},
                    {"equal_kl", exact(comparison.kl)},
                    {"at_equal_kl", exact(s.at_kl.mean)},
                    {"at_equal_kl_sd", exact(s.at_kl.deviation)},
                    {"at_equal_kl_seeds", cat(s.at_kl.count)},
                    {"target", exact(comparison.target)},
                    {"target_reached", cat(s.reached)}};
  row.insert(row.end(), rest.begin(), rest.end());
  add_milestone("train_s", s.to_target.seconds, row);
  add_milestone("images", s.to_target.images, row);
  add_milestone("evals", s.to_target.evaluations, row);
  row.emplace_back("sooner", exact(s.sooner));
  return row;
}

std::set<std::string> metrics_of(const Comparison& comparison) {
  std::set<std::string> out;
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.setting.runs) {
      for (const auto& point : run.points) {
        for (const auto& [name, mean] : point.scores.metrics) out.insert(name);
      }
    }
  }
  return out;
}

json number(double value) {
  return std::isfinite(value) ? json(value) : json();
}

json to_json(const Cost& cost) {
  return {{"train_s", number(cost.seconds)},
          {"images", number(cost.images)},
          {"evals", number(cost.evaluations)}};
}

json to_json(const Spread& spread) {
  return {{"seeds", spread.count},          {"mean", number(spread.mean)},
          {"sd", number(spread.deviation)}, {"median", number(spread.median)},
          {"low", number(spread.low)},      {"high", number(spread.high)}};
}

json to_json(const CostSpread& spread) {
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
          {"se", number(standard_error(lag.error))},
          {"freedom", number(lag.error.freedom)},
          {"over", over.at(lag.over)},
          {"paired", lag.paired},
          {"sure", lag.is_sure(statements)}};
}

json to_json(const ComparedRun& run, const RunResult& result) {
  json out = {{"folder", run.folder},
              {"seed", run.seed},
              {"finished", run.finished},
              {"before", number(result.before)},
              {"after", number(result.after)},
              {"after_se", number(standard_error(result.error))},
              {"gain_se", number(standard_error(result.gain_error))},
              {"kl", number(result.kl)},
              {"at_kl", number(result.at_kl)},
              {"spent", to_json(result.spent)},
              {"to_target", to_json(result.to_target)}};
  for (const auto& watched : result.watched) {
    out[watched.name + "_ratio"] = number(watched.ratio);
  }
  return out;
}

json to_json(const SettingResult& setting, const Comparison& comparison) {
  json runs = json::array();
  for (size_t i = 0; i < setting.runs.size(); ++i) {
    runs.push_back(to_json(setting.setting.runs[i], setting.runs[i]));
  }
  json out = {{"label", setting.label()},
              {"before", to_json(setting.before)},
              {"after", to_json(setting.after)},
              {"gain", to_json(setting.gain)},
              {"kl", to_json(setting.kl)},
              {"at_kl", to_json(setting.at_kl)},
              {"spent", to_json(setting.spent)},
              {"reached", setting.reached},
              {"to_target", to_json(setting.to_target)},
              {"sooner", number(setting.sooner)},
              {"behind_best", to_json(setting.lag, comparison.pairs())},
              {"runs", runs}};
  for (size_t i = 0; i < setting.watched.size(); ++i) {
    out[comparison.watched[i] + "_ratio"] = to_json(setting.watched[i]);
  }
  return out;
}

}  // namespace

json to_json(const Comparison& comparison) {
  json settings = json::array();
  for (const auto& setting : comparison.settings) {
    settings.push_back(to_json(setting, comparison));
  }
  return {{"metric", comparison.metric}, {"target", number(comparison.target)},
          {"kl", number(comparison.kl)}, {"baseline", comparison.baseline},
          {"settings", settings},        {"warnings", comparison.warnings}};
}

std::string settings_csv(const Comparison& comparison) {
  std::vector<Row> rows;
  for (const auto& setting : comparison.settings) {
    rows.push_back(setting_row(setting, comparison));
  }
  return csv(rows);
}

std::string curves_csv(const Comparison& comparison) {
  const auto metrics = metrics_of(comparison);
  std::vector<Row> rows;
  for (const auto& setting : comparison.settings) {
    for (const auto& run : setting.setting.runs) {
      for (const auto& point : run.points) {
        Row row = {{"label", setting.label()},
                   {"run", run.folder},
                   {"seed", cat(run.seed)},
                   {"epoch", cat(point.epoch)},
                   {"train_s", exact(point.cost.seconds)},
                   {"images", exact(point.cost.images)},
                   {"evals", exact(point.cost.evaluations)},
                   {"kl", exact(point.kl)}};
        for (const auto& metric : metrics) {
          row.emplace_back(metric, exact(point.scores.metric(metric)));
        }
        rows.push_back(std::move(row));
      }
    }
  }
  return csv(rows);
}

}  // namespace rsm::report
