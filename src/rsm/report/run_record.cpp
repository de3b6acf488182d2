#include "rsm/report/run_record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/config_node.h"
#include "rsm/io/config_values.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/log_lines.h"
#include "rsm/report/read_strip.h"

namespace rsm::report {
namespace {

using nlohmann::json;

constexpr const char* kAdvice =
    "; bring back what the run wrote, or leave the folder out";

/** Totals of the log that can only grow. */
constexpr std::array<const char*, 3> kTotals = {"train_s", "images", "evals"};

/** What run.json says in words, and where config.yaml says the same. */
struct Fact {
  const char* title;    ///< "": not to be shown as a fact
  const char* pointer;  ///< into run.json
  const char* key;      ///< of config.yaml; "": none
};
constexpr std::array<Fact, 12> kFacts = {
    {{"", "/name", "name"},
     {"Model", "/model", "model"},
     {"Method", "/method/name", "method.name"},
     {"Source", "/method/source", ""},
     {"Sampler steps", "/steps", "sampling.steps"},
     {"Text guidance scale", "/guidance_scale", "sampling.guidance_scale"},
     {"Reward", "/reward/name", ""},
     {"Reported", "/reward/main_metric", ""},
     {"Prompts for training", "/prompts/train", ""},
     {"Prompts held out", "/prompts/held_out", ""},
     {"Seed", "/seed", "seed"},
     {"Machine", "/machine", ""}}};

template <typename T>
T find(const std::map<std::string, T>& all, const std::string& name,
       const T& otherwise) {
  const auto found = all.find(name);
  return found == all.end() ? otherwise : found->second;
}

/** The finite numbers among the fields that are neither lists nor objects. */
Scores::Numbers numbers_of(const JsonFields& fields) {
  Scores::Numbers out;
  for (const auto& key : fields.keys()) {
    if (fields.value(key).is_structured()) continue;
    const double number = fields.number(key);
    if (std::isfinite(number)) out[key] = number;
  }
  return out;
}

/** Standard errors with their degrees of freedom, where both are said. */
Scores::Errors errors_of(const JsonFields& said, const std::string& errors,
                         const std::string& freedom) {
  if (!said.has(errors)) return {};
  const auto known = numbers_of(said.object(freedom));
  Scores::Errors out;
  for (const auto& [name, error] : numbers_of(said.object(errors))) {
    const double own = find(known, name, kMissing);
    if (own >= 1) out[name] = {error, own};
  }
  return out;
}

Scores scores_of(const JsonFields& means, const JsonFields& said) {
  Scores out = {said.integer("images"), numbers_of(means),
                errors_of(said, "errors", "freedom"),
                errors_of(said, "change_errors", "change_freedom")};
  out.metrics.erase("images");
  return out;
}

EvaluationRecord evaluation_of(const JsonFields& eval) {
  EvaluationRecord out;
  out.all = scores_of(eval.object("metrics"), eval);
  const double trained = eval.number("reward");
  if (std::isfinite(trained)) out.all.metrics[kTrainedMetric] = trained;
  out.kl = eval.number("kl");
  if (eval.has("watch")) out.watch = numbers_of(eval.object("watch"));
  const auto categories = eval.object("by_category");
  for (const auto& name : categories.keys()) {
    const auto category = categories.object(name);
    out.categories[name] = scores_of(category, category);
  }
  return out;
}

EpochRecord read_epoch(const JsonFields& line) {
  EpochRecord out;
  out.epoch = line.integer("epoch");
  out.numbers = numbers_of(line);
  if (line.has("warnings")) out.warnings = line.texts("warnings");
  if (line.has("by_step")) {
    const auto by_step = line.object("by_step");
    for (const auto& key : by_step.keys()) {
      out.by_step[key] = by_step.numbers(key);
    }
  }
  if (line.has("rewards")) {
    const auto rewards = line.object("rewards");
    for (const auto& name : rewards.keys()) {
      out.rewards[name] = numbers_of(rewards.object(name));
    }
  }
  if (line.has("eval")) out.evaluation = evaluation_of(line.object("eval"));
  return out;
}

/** Epochs and totals grow from line to line. */
void check_growth(const EpochRecord* before, const EpochRecord& now,
                  const std::string& where) {
  RSM_CHECK(before == nullptr || now.epoch > before->epoch, where,
            ": epoch is ", now.epoch, " after a line of epoch ",
            before == nullptr ? 0 : before->epoch,
            "; a log has every epoch once, in order", kAdvice);
  for (const char* total : kTotals) {
    const double value = now.number(total);
    const double last = before == nullptr ? 0 : before->number(total);
    RSM_CHECK(!(value < 0) && !(value < last), where, ": ", total, " is ",
              value, " after ", last,
              "; totals start at 0 or above and never shrink", kAdvice);
  }
}

/** "3" or "3 to 7" */
std::string range(int64_t first, int64_t last) {
  return first == last ? cat(first) : cat(first, " to ", last);
}

void read_log_lines(const std::string& path, RunRecord& record) {
  const std::string text = read_file(path);
  std::vector<std::string> holes;
  for (const auto& line : log_lines(text)) {
    if (line.blank()) continue;
    const auto value = parse_log_line(line, path);
    // The half-written last line of a killed run.
    if (value.is_discarded()) break;
    const auto where = cat("[run] ", path, ":", line.number);
    auto epoch = read_epoch(JsonFields(value, where));
    const auto* before =
        record.epochs.empty() ? nullptr : &record.epochs.back();
    check_growth(before, epoch, where);
    const int64_t due = before == nullptr ? 0 : before->epoch + 1;
    if (epoch.epoch > due) holes.push_back(range(due, epoch.epoch - 1));
    record.epochs.push_back(std::move(epoch));
  }
  if (holes.empty()) return;
  record.log_problems.push_back(
      cat(path, " has no lines of epochs ", join(holes),
          "; curves and totals are those of the others"));
}

std::string text_at(const json& run, const char* pointer,
                    const std::string& where) {
  const json::json_pointer place(pointer);
  RSM_CHECK(run.contains(place), where, ": ", pointer, " is missing");
  const auto& value = run[place];
  return value.is_string()
             ? value.get<std::string>()
             : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/** Also for "1" and "1.0". */
bool same_value(const std::string& a, const std::string& b) {
  const auto number = [](const std::string& text) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    return read.ec == std::errc() && read.ptr == end ? value : kMissing;
  };
  return a == b || number(a) == number(b);
}

void read_facts(const json& run, const std::string& where, RunRecord& record) {
  for (const auto& [title, pointer, key] : kFacts) {
    const auto said = text_at(run, pointer, where);
    const auto configured = find(record.config, key, std::string());
    RSM_CHECK(*key == '\0' || same_value(said, configured), where, ": ",
              pointer, " is \"", said, "\", and config.yaml has ", key, " = \"",
              configured, "\"; both were written by one run and must agree",
              kAdvice);
    if (*title != '\0') record.facts.push_back({title, said});
  }
  // Not in run.json of every run.
  const std::string judged = "evaluation.guidance_scale";
  const auto scale = find(record.config, judged, std::string());
  if (!scale.empty() &&
      scale != find(record.config, "sampling.guidance_scale", scale)) {
    record.facts.push_back({"Text guidance scale of evaluations", scale});
  }
}

void read_run_json(const std::string& path, RunRecord& record) {
  const auto where = "[run] " + path;
  const json run = read_json(path);
  const JsonFields fields(run, where);
  const auto method = fields.object("method"), reward = fields.object("reward");
  record.name = fields.text("name");
  record.label = fields.text("label");
  record.method = method.text("name");
  record.method_summary = method.text("summary");
  record.model = fields.text("model");
  record.machine = fields.text("machine");
  record.main_metric = reward.text("main_metric");
  RSM_CHECK(!fields.has("config_sha256") ||
                fields.text("config_sha256") == checksum(record.config_text),
            "[run] the config.yaml beside ", path,
            " is not the one that the run had: its SHA-256 differs", kAdvice);
  record.watched = reward.texts("watched");
  record.seed = fields.seed("seed");
  record.finished = fields.truth("finished");
  record.warnings = fields.texts("warnings");
  read_facts(run, where, record);
  const auto versions = fields.object("versions");
  for (const auto& name : versions.keys()) {
    record.versions.push_back({name, versions.text(name)});
  }
  for (const auto& item : fields.value("schedule")) {
    const JsonFields step(item, where + ": schedule");
    record.schedule.push_back({step.number("step"), step.number("t"),
                               step.number("branches"), step.number("h")});
  }
}

/** Those of NAME.png and their scores; empty, and a problem, where they are
 * damaged. */
SamplesRecord::Grid grid_of(const std::string& folder, const std::string& name,
                            const JsonFields& said, RunRecord& record) {
  try {
    const auto path = folder + "/" + name + ".png";
    const auto& samples = record.samples;
    const auto& layout = samples.layout;
    const auto picture = read_png(path);
    RSM_CHECK(
        picture.size(1) == layout.height() && picture.size(2) == layout.width(),
        "[run] ", path, " has ", picture.size(2), " x ", picture.size(1),
        " pixels; by prompts.json it has ", layout.width(), " x ",
        layout.height());
    SamplesRecord::Grid out = {read_file(path),
                               said.numbers(record.main_metric + "_" + name)};
    RSM_CHECK(out.scores.size() == samples.prompts.size(), "[run] ", folder,
              "/prompts.json: ", record.main_metric, "_", name, " has ",
              out.scores.size(), " numbers for ", samples.prompts.size(),
              " pictures");
    return out;
  } catch (const Error& error) {
    record.picture_problems.push_back(cat(
        "The pictures ", name, " training cannot be shown: ", error.what()));
    return {};
  }
}

/** Those that evaluations of the log must have left. */
void read_samples(const std::string& folder, RunRecord& record) {
  const auto evaluated = record.evaluated();
  if (evaluated.empty()) return;
  try {
    const auto path = folder + "/prompts.json";
    const json prompts = read_json(path);
    const JsonFields said(prompts, "[run] " + path);
    auto& out = record.samples;
    out.prompts = said.texts("prompts");
    out.layout = {said.integer("columns"), said.integer("tile_width"),
                  said.integer("tile_height"), said.integer("gap"),
                  std::ssize(out.prompts)};
    RSM_CHECK(out.layout.columns > 0 && !out.prompts.empty(), "[run] ", path,
              ": columns and prompts are at least one");
    out.before = grid_of(folder, "before", said, record);
    if (evaluated.size() > 1) {
      out.after = grid_of(folder, "after", said, record);
    }
  } catch (const Error& error) {
    record.picture_problems.push_back(
        cat("The pictures cannot be shown: ", error.what()));
  }
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

Cost EpochRecord::cost() const {
  return {number("train_s"), number("images"), number("evals")};
}

int64_t TileLayout::width() const {
  return std::min(columns, tiles) * (tile_width + gap) - gap;
}

int64_t TileLayout::height() const {
  const int64_t rows = (tiles + columns - 1) / columns;
  return rows * (tile_height + gap) - gap;
}

std::vector<const EpochRecord*> RunRecord::evaluated() const {
  std::vector<const EpochRecord*> out;
  for (const auto& line : epochs) {
    if (line.evaluation) out.push_back(&line);
  }
  return out;
}

RunRecord read_run(const std::string& folder) {
  for (const char* file : {"/log.jsonl", "/run.json", "/config.yaml"}) {
    RSM_CHECK(is_there(folder + file), "[run] ", folder, " has no ", file + 1,
              "; every run writes one when it starts", kAdvice);
  }
  RunRecord record;
  const auto config = folder + "/config.yaml";
  record.config_text = read_file(config);
  record.config = config_values(*parse_config(record.config_text, config));
  read_run_json(folder + "/run.json", record);
  read_log_lines(folder + "/log.jsonl", record);
  read_samples(folder + "/samples", record);
  record.strip = read_strip(folder + "/samples", record.evaluated(),
                            record.picture_problems);
  return record;
}

}  // namespace rsm::report
