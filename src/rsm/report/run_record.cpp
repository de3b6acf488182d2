#include "rsm/report/run_record.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/json_text.h"
#include "rsm/io/run_log.h"

namespace rsm::report {
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
  return json_line(value);
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

template <typename T>
T find(const std::map<std::string, T>& all, const std::string& name,
       const T& otherwise) {
  const auto found = all.find(name);
  return found == all.end() ? otherwise : found->second;
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

/** Standard errors and their degrees of freedom; older logs have none. */
Scores::Errors read_errors(const json& standard, const json& freedom) {
  const auto known = finite_numbers(freedom);
  Scores::Errors out;
  for (const auto& [name, error] : finite_numbers(standard)) {
    const double own = find(known, name, kMissing);
    out[name] = {error, own >= 1 ? own : kMissing};
  }
  return out;
}

Scores read_scores(const json& metrics, const json& said) {
  Scores scores;
  scores.metrics = finite_numbers(metrics);
  scores.metrics.erase("images");
  scores.images = count(at(said, "images"));
  scores.errors = read_errors(at(said, "errors"), at(said, "freedom"));
  scores.change_errors =
      read_errors(at(said, "change_errors"), at(said, "change_freedom"));
  return scores;
}

EvaluationRecord read_evaluation(const json& eval, const json& line) {
  EvaluationRecord out;
  out.all = read_scores(at(eval, "metrics"), eval);
  for (const auto& reward : {at(eval, "reward"), at(line, "eval_reward")}) {
    const double value = real(reward);
    if (std::isfinite(value))
      out.all.metrics.try_emplace(kTrainedMetric, value);
  }
  out.kl = real(at(eval, "kl"));
  const auto& categories = at(eval, "by_category");
  if (categories.is_object()) {
    for (const auto& [name, scores] : categories.items()) {
      out.categories[name] = read_scores(scores, scores);
    }
  }
  return out;
}

EpochRecord read_epoch(const json& line) {
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
    out.evaluation = read_evaluation(eval, line);
  }
  return out;
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
  const auto& main = at(at(run, "reward"), "main_metric");
  record.main_metric = main.is_string() ? text(main) : kTrainedMetric;
  record.watched = texts(at(at(run, "reward"), "watched"));
  record.warnings = texts(at(run, "warnings"));
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

/** A picture's bytes; "" where it is missing or damaged, which is said. */
std::string read_picture(const fs::path& path, const std::string& what,
                         std::vector<std::string>& problems) {
  try {
    read_png(path.string());
    return read_file(path.string());
  } catch (const std::exception& error) {
    problems.push_back(cat("The pictures ", what,
                           " training cannot be shown: ", error.what()));
    return "";
  }
}

void read_prompts(const fs::path& path, RunRecord& record) {
  try {
    const auto said = read_json(path.string());
    auto& out = record.samples;
    out.columns = count(at(said, "columns"));
    out.rows = count(at(said, "rows"));
    out.prompts = texts(at(said, "prompts"));
    out.scores_before = reals(at(said, record.main_metric + "_before"));
    out.scores_after = reals(at(said, record.main_metric + "_after"));
    if (!out.prompts.empty() && out.columns > 0 && out.rows > 0) return;
    record.problems.push_back(
        cat("The pictures have no captions: ", path.string(),
            " lacks \"prompts\", \"columns\" or \"rows\""));
  } catch (const std::exception& error) {
    record.problems.push_back(
        cat("The pictures have no captions: ", error.what()));
  }
}

/** Those that evaluations of the log must have left. */
void read_samples(const fs::path& folder, RunRecord& record) {
  const auto* first = record.first_evaluation();
  if (first == nullptr) return;
  auto& samples = record.samples;
  samples.before_png =
      read_picture(folder / "before.png", "before", record.problems);
  if (first != record.last_evaluation()) {
    samples.after_png =
        read_picture(folder / "after.png", "after", record.problems);
  }
  read_prompts(folder / "prompts.json", record);
}

/** "3" or "3 to 7" */
std::string range(int64_t first, int64_t last) {
  return first == last ? cat(first) : cat(first, " to ", last);
}

/** Epochs that the log should have and doesn't. */
void find_holes(RunRecord& record) {
  std::vector<std::string> holes;
  int64_t before = -1;
  for (const auto& line : record.epochs) {
    const bool is_next = line.epoch <= before + 1;
    if (!is_next) holes.push_back(range(before + 1, line.epoch - 1));
    before = line.epoch;
  }
  if (holes.empty()) return;
  record.problems.push_back(cat("log.jsonl has no lines of epochs ",
                                join(holes),
                                "; curves and totals are those of the others"));
}

}  // namespace

double Scores::metric(const std::string& name) const {
  return find(metrics, name, kMissing);
}

MeanError Scores::error(const std::string& name) const {
  return find(errors, name, {});
}

MeanError Scores::change_error(const std::string& name) const {
  return find(change_errors, name, {});
}

double EpochRecord::number(const std::string& name) const {
  return find(numbers, name, kMissing);
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
  RSM_CHECK(is_there(root / "log.jsonl"), "[report] ", folder,
            " has no log.jsonl; a run folder has one, made when the run "
            "starts");
  const auto log = read_log((root / "log.jsonl").string());
  const auto run = is_there(root / "run.json")
                       ? read_json((root / "run.json").string())
                       : json::object();
  RunRecord record;
  const auto given = fs::absolute(root).lexically_normal();
  record.name =
      (given.has_filename() ? given : given.parent_path()).filename().string();
  read_run_json(run, record);
  if (is_there(root / "config.yaml")) {
    record.config = read_file((root / "config.yaml").string());
  }
  for (const auto& line : log) {
    record.epochs.push_back(read_epoch(line));
  }
  find_holes(record);
  read_samples(root / "samples", record);
  return record;
}

}  // namespace rsm::report
