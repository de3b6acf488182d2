#include "rsm/runs/run_inputs.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "rsm/base/error.h"
#include "rsm/data/brisque.h"
#include "rsm/data/prompts.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/judge_files.h"
#include "rsm/models/lora_formats.h"
#include "rsm/runs/run_options.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kIndex = "model_index.json";
constexpr const char* kTrain = "prompts.train";
constexpr const char* kEvaluation = "evaluation.prompts";
constexpr const char* kPredictor = "method.estimator.gradient.predictor";
constexpr std::string_view kExec = "exec:";
/** Endings of what a model is made of. */
constexpr std::array<const char*, 4> kModelFiles = {".json", ".model",
                                                    ".safetensors", ".txt"};

bool is_model_file(const fs::path& path) {
  std::error_code none;
  const std::string name = path.filename().string();
  if (!fs::is_regular_file(path, none) || name.starts_with('.')) return false;
  for (const char* ending : kModelFiles) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

/** Adds what of a model lies in a folder, by the names CALLED/FILE; nothing
 * where there is no such folder. */
void add_model_files(const fs::path& folder, const fs::path& called,
                     Checksums& out) {
  for (const auto& name : names_in(folder.string())) {
    const auto path = folder / name;
    if (is_model_file(path)) {
      out[(called / name).string()] = file_checksum(path.string());
    }
  }
}

RunInputs::Prompts prompts_of(const std::string& source) {
  const auto prompts = load_prompts(source);
  json all = json::array();
  for (const auto& prompt : prompts) {
    all.push_back({prompt.text, prompt.category});
    if (!prompt.metadata.empty()) all.back().push_back(prompt.metadata);
  }
  return {source, static_cast<int64_t>(prompts.size()),
          checksum(json_line(all))};
}

/** Files that the words of a command name. */
void add_files_of(const std::string& command, Checksums& out) {
  constexpr const char* kBetween = " \t\n'\"";
  size_t begin = 0;
  while ((begin = command.find_first_not_of(kBetween, begin)) !=
         std::string::npos) {
    const size_t end =
        std::min(command.find_first_of(kBetween, begin), command.size());
    const std::string word = command.substr(begin, end - begin);
    std::error_code none;
    if (fs::is_regular_file(word, none)) out[word] = file_checksum(word);
    begin = end;
  }
}

/** A network that judges, NAME:PATH: its file or what of a model lies in its
 * folder, and its tokenizer where that has a folder of its own. */
void add_network(const std::string& path, Checksums& out) {
  std::error_code none;
  const bool file = fs::is_regular_file(path, none);
  const fs::path folder = file ? parent_of(path) : path;
  if (file) {
    out[path] = file_checksum(path);
  } else {
    add_model_files(folder, folder, out);
  }
  const auto tokenizer = folder / "tokenizer";
  add_model_files(tokenizer, tokenizer, out);
}

/** Files that a reward rests on. */
void add_judge(const std::string& reward, Checksums& out) {
  const std::string name = judge_of(reward);
  if (name.starts_with(kExec)) {
    add_files_of(name.substr(kExec.size()), out);
  }
  for (const auto& place : network_places(name)) add_network(place, out);
}

json prompts_to_json(const std::map<std::string, RunInputs::Prompts>& all) {
  json out = json::object();
  for (const auto& [key, prompts] : all) {
    out[key] = {{"source", prompts.source},
                {"count", prompts.count},
                {"sha256", prompts.sha256}};
  }
  return out;
}

Checksums checksums_of_lora(const std::string& path) {
  Checksums out;
  for (const auto& file : lora_files(path)) {
    out[fs::path(file).filename().string()] = file_checksum(file);
  }
  return out;
}

/** "name (changed)" and so on. */
std::vector<std::string> differences(const Checksums& before,
                                     const Checksums& now) {
  std::vector<std::string> out;
  for (const auto& [name, sum] : before) {
    const auto found = now.find(name);
    if (found == now.end()) {
      out.push_back(name + " (missing)");
    } else if (found->second != sum) {
      out.push_back(name + " (changed)");
    }
  }
  for (const auto& [name, sum] : now) {
    if (!before.contains(name)) out.push_back(name + " (new)");
  }
  return out;
}

}  // namespace

const std::vector<std::string>& input_keys() {
  static const std::vector<std::string> keys = {"model", kTrain, kEvaluation,
                                                "train.lora.from", kPredictor};
  return keys;
}

RunInputs run_inputs(const RunOptions& options) {
  RunInputs out;
  out.model = options.model;
  out.model_place = fs::absolute(options.model).lexically_normal().string();
  out.model_files = model_checksums(options.model);
  if (options.lora && !options.lora_from.empty()) {
    out.lora = options.lora_from;
    out.lora_files = checksums_of_lora(out.lora);
  }
  if (!options.predictor.empty()) {
    out.predictor = options.predictor;
    out.predictor_files = checksums_of_lora(out.predictor);
  }
  out.prompts[kTrain] = prompts_of(options.train_prompts);
  out.prompts[kEvaluation] = prompts_of(options.eval_prompts);
  for (const auto& reward : options.rewards) {
    add_judge(reward.name, out.judges);
  }
  for (const auto& path : options.beside.given()) {
    add_network(path, out.judges);
  }
  if (!options.beside.brisque.empty()) {
    add_network(brisque_range_of(options.beside.brisque), out.judges);
  }
  return out;
}

Checksums model_checksums(const std::string& folder) {
  Checksums out;
  const std::string index = folder + "/" + kIndex;
  out[kIndex] = file_checksum(index);
  const json parts = read_python_json(index);
  for (const auto& part : JsonFields(parts, "[model] " + index).keys()) {
    // Not every part of a pipeline is there.
    add_model_files(folder + "/" + part, part, out);
  }
  return out;
}

std::string changed_files(const Checksums& before, const Checksums& now) {
  return join(differences(before, now));
}

std::vector<std::string> changed_inputs(const RunInputs& before,
                                        const RunInputs& now) {
  std::vector<std::string> changed;
  const auto files = changed_files(before.model_files, now.model_files);
  if (!files.empty()) {
    changed.push_back(cat("files of the model ", now.model, ": ", files));
  }
  const auto lora = changed_files(before.lora_files, now.lora_files);
  if (!lora.empty()) {
    changed.push_back(cat("files of the LoRA it began with, ",
                          now.lora.empty() ? before.lora : now.lora,
                          " (train.lora.from): ", lora));
  }
  const auto predictor =
      changed_files(before.predictor_files, now.predictor_files);
  if (!predictor.empty()) {
    changed.push_back(
        cat("files of the consistency model ",
            now.predictor.empty() ? before.predictor : now.predictor, " (",
            kPredictor, "): ", predictor));
  }
  for (const auto& [key, prompts] : now.prompts) {
    const auto found = before.prompts.find(key);
    if (found != before.prompts.end() &&
        found->second.sha256 != prompts.sha256) {
      changed.push_back(cat("the prompts of ", prompts.source, " (", key, ", ",
                            found->second.count, " -> ", prompts.count, ")"));
    }
  }
  return changed;
}

std::vector<std::string> changed_judges(const RunInputs& before,
                                        const RunInputs& now) {
  std::vector<std::string> common;
  for (const auto& [name, sum] : before.judges) {
    const auto found = now.judges.find(name);
    if (found != now.judges.end() && found->second != sum) {
      common.push_back(name);
    }
  }
  return common;
}

json to_json(const RunInputs& inputs) {
  json out = {{"model", inputs.model},
              {"model_place", inputs.model_place},
              {"model_files", inputs.model_files},
              {"prompts", prompts_to_json(inputs.prompts)},
              {"judges", inputs.judges}};
  if (!inputs.lora.empty()) {
    out["lora"] = inputs.lora;
    out["lora_files"] = inputs.lora_files;
  }
  if (!inputs.predictor.empty()) {
    out["predictor"] = inputs.predictor;
    out["predictor_files"] = inputs.predictor_files;
  }
  return out;
}

Checksums checksums_in(const JsonFields& fields) {
  Checksums out;
  for (const auto& name : fields.keys()) out[name] = fields.text(name);
  return out;
}

RunInputs inputs_from_json(const JsonFields& fields) {
  RunInputs out;
  out.model = fields.text("model");
  out.model_place = fields.text("model_place");
  out.model_files = checksums_in(fields.object("model_files"));
  if (fields.has("lora")) {
    out.lora = fields.text("lora");
    out.lora_files = checksums_in(fields.object("lora_files"));
  }
  if (fields.has("predictor")) {
    out.predictor = fields.text("predictor");
    out.predictor_files = checksums_in(fields.object("predictor_files"));
  }
  const auto prompts = fields.object("prompts");
  for (const auto& key : prompts.keys()) {
    const auto one = prompts.object(key);
    out.prompts[key] = {one.text("source"), one.integer("count"),
                        one.text("sha256")};
  }
  out.judges = checksums_in(fields.object("judges"));
  return out;
}

}  // namespace rsm
