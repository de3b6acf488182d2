#include "rsm/report/run_record.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/run_log.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/** Null where `value` is no object or has no such key. */
const json& at(const json& value, const std::string& key) {
  static const json null;
  if (!value.is_object()) return null;
  const auto found = value.find(key);
  return found == value.end() ? null : *found;
}

double real(const json& value) {
  if (!value.is_number()) return kMissing;
  const double number = value.get<double>();
  return std::isfinite(number) ? number : kMissing;
}

int64_t count(const json& value) {
  // Beyond this a double is no longer a count of anything.
  constexpr double kMost = 9e15;
  const double number = real(value);
  return number >= 0 && number < kMost ? std::llround(number) : 0;
}

/** Strings as they are, anything else as JSON, null as "". */
std::string text(const json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, double> finite_numbers(const json& object) {
  std::map<std::string, double> out;
  if (!object.is_object()) return out;
  for (const auto& [key, value] : object.items()) {
    if (const double number = real(value); std::isfinite(number)) {
      out[key] = number;
    }
  }
  return out;
}

std::vector<double> reals(const json& list) {
  std::vector<double> out;
  if (!list.is_array()) return out;
  for (const auto& value : list) out.push_back(real(value));
  return out;
}

std::vector<std::string> texts(const json& list) {
  std::vector<std::string> out;
  if (!list.is_array()) return out;
  for (const auto& value : list) out.push_back(text(value));
  return out;
}

std::vector<int> verdicts(const json& list) {
  std::vector<int> out;
  for (const double value : reals(list)) {
    out.push_back(std::isfinite(value) ? (value > 0.5 ? 1 : 0) : -1);
  }
  return out;
}

/** Every leaf below `value`, by its path "a.b.c". */
void flatten(const json& value, const std::string& path,
             RunRecord::Facts& out) {
  if (!value.is_object()) {
    if (!path.empty() && !value.is_null()) out.emplace_back(path, text(value));
    return;
  }
  for (const auto& [key, inner] : value.items()) {
    flatten(inner, path.empty() ? key : path + "." + key, out);
  }
}

Scores read_scores(const json& metrics, const json& images) {
  Scores scores;
  scores.metrics = finite_numbers(metrics);
  scores.metrics.erase("images");
  scores.images = count(images);
  return scores;
}

EvaluationRecord read_evaluation(const json& eval, const json& line,
                                 const std::string& main_metric) {
  EvaluationRecord out;
  out.all = read_scores(at(eval, "metrics"), at(eval, "images"));
  const double reward = real(at(eval, "reward"));
  if (std::isfinite(reward)) out.all.metrics.try_emplace("reward", reward);
  const double main = real(at(line, "eval_reward"));
  if (std::isfinite(main)) out.all.metrics.try_emplace(main_metric, main);
  out.kl = real(at(eval, "kl"));
  const auto& categories = at(eval, "by_category");
  if (categories.is_object()) {
    for (const auto& [name, scores] : categories.items()) {
      out.categories[name] = read_scores(scores, at(scores, "images"));
    }
  }
  return out;
}

EpochRecord read_epoch(const json& line, const std::string& main_metric) {
  EpochRecord out;
  out.epoch = line["epoch"].get<int64_t>();
  out.numbers = finite_numbers(line);
  out.warnings = texts(at(line, "warnings"));
  const auto& by_step = at(line, "by_step");
  if (by_step.is_object()) {
    for (const auto& [key, list] : by_step.items()) {
      out.by_step[key] = reals(list);
    }
  }
  const auto& eval = at(line, "eval");
  if (eval.is_object() || !at(line, "eval_reward").is_null()) {
    out.evaluation = read_evaluation(eval, line, main_metric);
  }
  return out;
}

/** run.json's, or the log's, or the usual one. */
std::string main_metric_of(const json& run, const std::vector<json>& log) {
  const auto& said = at(at(run, "reward"), "main_metric");
  if (said.is_string()) return text(said);
  std::string known = "reward";
  for (const auto& line : log) {
    const auto& eval = at(line, "eval");
    if (at(eval, "reward").is_string()) return text(at(eval, "reward"));
    if (at(eval, "metrics").contains("strict")) known = "strict";
  }
  return known;
}

void read_facts(const json& run, RunRecord& record) {
  const auto add = [&](const std::string& name, const json& value) {
    if (!value.is_null()) record.facts.emplace_back(name, text(value));
  };
  add("Model", at(run, "model"));
  add("Method", at(at(run, "method"), "name"));
  add("Source", at(at(run, "method"), "source"));
  add("Sampler steps", at(run, "steps"));
  add("Text guidance scale", at(run, "guidance_scale"));
  add("Reward", at(at(run, "reward"), "name"));
  add("Trained on", at(at(run, "reward"), "trained"));
  add("Reported", at(at(run, "reward"), "main_metric"));
  add("Prompts for training", at(at(run, "prompts"), "train"));
  add("Prompts held out", at(at(run, "prompts"), "held_out"));
  add("Seed", at(run, "seed"));
  add("Machine", at(run, "machine"));
}

void read_run_json(const json& run, RunRecord& record) {
  const auto& method = at(run, "method");
  if (const auto name = text(at(run, "name")); !name.empty()) {
    record.name = name;
  }
  record.method = text(at(method, "name"));
  record.method_summary = text(at(method, "summary"));
  record.method_source = text(at(method, "source"));
  record.model = text(at(run, "model"));
  record.trained_metric = text(at(at(run, "reward"), "trained"));
  record.finished = at(run, "finished") == true;
  read_facts(run, record);
  flatten(at(method, "knobs"), "", record.knobs);
  flatten(at(run, "versions"), "", record.versions);
  const auto& schedule = at(run, "schedule");
  if (!schedule.is_array()) return;
  for (const auto& step : schedule) {
    record.schedule.push_back({real(at(step, "step")), real(at(step, "t")),
                               real(at(step, "branches")),
                               real(at(step, "h"))});
  }
}

SamplesRecord read_samples(const fs::path& folder) {
  const auto bytes = [&](const char* name) {
    const auto path = folder / name;
    return fs::exists(path) ? read_file(path.string()) : std::string();
  };
  SamplesRecord out;
  out.before_png = bytes("before.png");
  out.after_png = bytes("after.png");
  const auto path = folder / "prompts.json";
  if (!fs::exists(path)) return out;
  const auto said = read_json(path.string());
  out.columns = count(at(said, "columns"));
  out.rows = count(at(said, "rows"));
  out.prompts = texts(at(said, "prompts"));
  out.strict_before = verdicts(at(said, "strict_before"));
  out.strict_after = verdicts(at(said, "strict_after"));
  return out;
}

}  // namespace

double Scores::metric(const std::string& name) const {
  const auto found = metrics.find(name);
  return found == metrics.end() ? kMissing : found->second;
}

double Scores::standard_error(const std::string& name) const {
  const double mean = metric(name);
  if (name != "strict" || images <= 0 || !(mean >= 0 && mean <= 1)) {
    return kMissing;
  }
  return std::sqrt(mean * (1 - mean) / static_cast<double>(images));
}

double EpochRecord::number(const std::string& name) const {
  const auto found = numbers.find(name);
  return found == numbers.end() ? kMissing : found->second;
}

const EpochRecord* RunRecord::first_evaluation() const {
  const auto found = std::find_if(
      epochs.begin(), epochs.end(),
      [](const EpochRecord& line) { return line.evaluation.has_value(); });
  return found == epochs.end() ? nullptr : &*found;
}

const EpochRecord* RunRecord::last_evaluation() const {
  const auto found = std::find_if(
      epochs.rbegin(), epochs.rend(),
      [](const EpochRecord& line) { return line.evaluation.has_value(); });
  return found == epochs.rend() ? nullptr : &*found;
}

RunRecord read_run(const std::string& folder) {
  const fs::path root(folder);
  RSM_CHECK(fs::exists(root / "log.jsonl"), "[report] ", folder,
            " has no log.jsonl; a run folder has one, made when the run "
            "starts");
  const auto log = read_log((root / "log.jsonl").string());
  const auto run = fs::exists(root / "run.json")
                       ? read_json((root / "run.json").string())
                       : json::object();
  RunRecord record;
  const auto given = fs::absolute(root).lexically_normal();
  record.name =
      (given.has_filename() ? given : given.parent_path()).filename().string();
  record.main_metric = main_metric_of(run, log);
  read_run_json(run, record);
  if (fs::exists(root / "config.yaml")) {
    record.config = read_file((root / "config.yaml").string());
  }
  for (const auto& line : log) {
    record.epochs.push_back(read_epoch(line, record.main_metric));
  }
  const auto* last = record.last_evaluation();
  if (record.trained_metric.empty() && last != nullptr &&
      last->evaluation->all.metrics.contains("reward")) {
    record.trained_metric = "reward";
  }
  record.samples = read_samples(root / "samples");
  return record;
}

}  // namespace rsm
