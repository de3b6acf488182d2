#include <stdlib.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "inputs.h"
#include "rsm/base/error.h"
#include "rsm/data/picture_scores.h"
#include "rsm/data/prompt_files.h"
#include "rsm/data/sample_sheet.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/json_text.h"
#include "rsm/io/mend_log.h"
#include "rsm/io/protobuf.h"
#include "rsm/io/run_log.h"
#include "rsm/io/sharded.h"
#include "rsm/rewards/answers.h"
#include "rsm/runs/checkpoint_mark.h"
#include "rsm/runs/run_options.h"
#include "targets.h"

namespace rsm::fuzz {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kHeader =
    R"({"__metadata__": {"format": "pt"},)"
    R"( "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},)"
    R"( "b": {"dtype": "BOOL", "shape": [8, 1], "data_offsets": [16, 24]}})";

void load_safetensors(const std::string& bytes) {
  const auto path = put("a.safetensors", safetensors_of(bytes));
  read_shapes(path);
  read_safetensors(path);
}

std::vector<std::string> safetensors_seeds() {
  return {kHeader, safetensors_of(kHeader)};
}

void load_index(const std::string& bytes) {
  put("sharded/m-1-of-1.safetensors", safetensors_of(kHeader));
  put("sharded/m.safetensors.index.json", bytes);
  const std::string folder = scratch() + "/sharded";
  read_sharded_shapes(folder, "m");
  view_sharded(folder, "m");
}

std::vector<std::string> index_seeds() {
  return {R"({"metadata": {"total_size": 24}, "weight_map":)"
          R"( {"w": "m-1-of-1.safetensors", "b": "m-1-of-1.safetensors"}})"};
}

void load_config(const std::string& bytes) {
  read_run_options(Config::parse(bytes, "fuzz.yaml"));
}

std::vector<std::string> config_seeds() {
  return {R"({"name": "fuzz", "model": "models/shapes-flow",)"
          R"( "reward": "jpeg-compressibility",)"
          R"( "method": {"name": "tempflow-grpo",)"
          R"( "estimator": {"branches": [3, 2, 0, 0]}},)"
          R"( "prompts": {"per_epoch": 2}, "seed": 3,)"
          R"( "sampling": {"steps": 4, "guidance_scale": 1},)"
          R"( "train": {"epochs": 2, "lr": 0.001, "lora": {"rank": 1}},)"
          R"( "evaluation": {"images": 6, "steps": 2, "every": 2}})",
          "name: fuzz\nmodel: models/shapes-flow\nrewards:\n"
          "  - {name: colourfulness, weight: 0.5}\n  - name: shapes\n"
          "method: {name: flow-grpo}\nprompts: {samples_per_prompt: 2}\n"};
}

void load_prompt_file(const std::string& bytes) {
  static const std::vector<std::string> endings = {"txt", "jsonl", "json",
                                                   "csv", "tsv"};
  const size_t choice =
      bytes.empty() ? 0 : static_cast<unsigned char>(bytes[0]) % 5;
  read_prompt_file(put("prompts." + endings[choice],
                       bytes.substr(std::min<size_t>(1, bytes.size()))));
}

/** The codes of "2" to "6" are 0 to 4, modulo 5. */
std::vector<std::string> prompts_seeds() {
  return {"2a red circle\ntwo crosses\n",
          "3"
          R"({"prompt": "a red circle", "tag": "one", "n": [1, NaN]})",
          "4"
          R"(["a red circle", {"prompt": "two crosses", "x": null}])",
          "5prompt,category\n\"a red, red circle\",one\ntwo,\n",
          "6caption\ttag\n\"a\" circle\tone\n"};
}

void load_log(const std::string& bytes) {
  const auto path = put("log.jsonl", bytes);
  const std::vector<std::string> saved = {R"({"epoch":0,"eval":{}})",
                                          R"({"epoch":1,"x":1})",
                                          R"({"epoch":2,"x":2})"};
  int64_t damaged = 0;
  last_epoch_in(path, damaged);
  mend_log(path, saved, 2);
  read_log(path);
}

std::vector<std::string> log_seeds() {
  return {"{\"epoch\": 0, \"wall_s\": 1.5}\n{\"epoch\": 1, \"kl\": null}\n",
          "{\"epoch\":1,\"x\":1}\n{\"epoch\":2,\"x\":2,\"eval\":{}}\n",
          R"({"epoch": 3, "by_step": {"kl": [0.5, 1e-9]}, "eval": {"kl": 0}})"};
}

/** With a checksum that is right, whatever else is said. */
void load_mark(const std::string& bytes) {
  auto text = bytes;
  auto mark = parse_json("a mark", bytes);
  if (mark.is_object()) {
    mark.erase("checksum");
    mark["checksum"] = checksum(json_line(mark));
    text = mark.dump();
  }
  std::string sum;
  read_mark(put("epoch-000002.json", text), sum);
}

std::vector<std::string> mark_seeds() {
  Checkpoint checkpoint;
  checkpoint.epoch = 2;
  checkpoint.config = "name: a\n";
  checkpoint.machine = "a machine";
  checkpoint.inputs.model = "models/a";
  checkpoint.inputs.model_files = {{"model_index.json", "00ff"}};
  checkpoint.inputs.prompts["prompts.train"] = {"shapes:train", 3, "00ff"};
  checkpoint.log = {R"({"epoch":0})", R"({"epoch":1})", R"({"epoch":2})"};
  return {mark_text(checkpoint, std::string(64, 'a'))};
}

void load_scores(const std::string& bytes) {
  read_picture_scores(put("scores.json", bytes));
}

std::vector<std::string> scores_seeds() {
  auto scores =
      pictures_of({{0, "a circle", "one"}, {4, "a cross", "two"}}, {0, 0}, 42);
  scores.metrics["reward"] = {0.5, std::nan("")};
  const std::string path = scratch() + "/seed.json";
  write_picture_scores(path, scores);
  return {read_file(path)};
}

void load_answer(const std::string& bytes) {
  const auto answer = parse_answer("exec:judge", bytes);
  error_in(answer);
  read_scores("exec:judge", answer, {1, 2},
              {{0, "a circle", ""}, {1, "a cross", ""}, {2, "a line", ""}});
}

std::vector<std::string> answer_seeds() {
  return {R"({"scores": [0.5, 1e-3]})",
          R"({"id": 7, "scores": [1, 2], "metrics": {"red": [3, -4.5]}})",
          R"({"scores": [1, 2], "metrics": null, "error": null})"};
}

void load_sheet(const std::string& bytes) {
  read_sample_sheet(put("sheet.png", bytes));
}

std::vector<std::string> sheet_seeds() {
  SampleSheet sheet;
  sheet.epoch = 2;
  sheet.columns = 2;
  sheet.tile_width = sheet.tile_height = 3;
  sheet.gap = 1;
  sheet.metric = "reward";
  sheet.prompts = {"a circle", "a cross \xc3\xa9"};
  sheet.members = {0, 1};
  sheet.scores = {0.5, std::nan("")};
  const std::string path = scratch() + "/seed.png";
  write_sample_sheet(path, sheet, torch::zeros({3, 3, 7}));
  return {read_file(path)};
}

/** Gone when the process ends as it should. */
struct Folder {
  Folder() {
    auto name = (fs::temp_directory_path() / "rsm-fuzz-XXXXXX").string();
    RSM_CHECK(mkdtemp(name.data()) != nullptr, "[fuzz] no temporary folder");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path;
};

}  // namespace

std::vector<Target> file_targets() {
  return {{"safetensors", safetensors_seeds, load_safetensors},
          {"safetensors-index", index_seeds, load_index},
          {"config", config_seeds, load_config, 0, 300},
          {"prompts", prompts_seeds, load_prompt_file, 1},
          {"log", log_seeds, load_log},
          {"checkpoint-mark", mark_seeds, load_mark},
          {"scores", scores_seeds, load_scores},
          {"answer", answer_seeds, load_answer},
          {"sample-sheet", sheet_seeds, load_sheet}};
}

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    auto found = file_targets();
    for (const auto& target : model_targets()) found.push_back(target);
    return found;
  }();
  return all;
}

const Target& find_target(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& target : targets()) {
    if (target.name == name) return target;
    names.push_back(target.name);
  }
  throw Error("[fuzz] " + unknown_word(name, names));
}

const std::string& scratch() {
  static const Folder folder;
  return folder.path;
}

std::string put(const std::string& name, const std::string& bytes) {
  const std::string path = scratch() + "/" + name;
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  RSM_CHECK(file.good(), "[fuzz] cannot write ", path);
  return path;
}

std::string safetensors_of(const std::string& bytes) {
  constexpr uint64_t kMostData = 1 << 16;
  if (!bytes.starts_with('{')) return bytes;
  const json::json_pointer last("/data_offsets/1");
  uint64_t end = 0;
  try {
    const auto header = parse_json("a header", bytes);
    for (const auto& [name, entry] : header.items()) {
      if (!entry.contains(last) || !entry.at(last).is_number_unsigned()) {
        continue;
      }
      end = std::max(end, entry.at(last).get<uint64_t>());
    }
  } catch (const Error&) {
  }
  const auto data = static_cast<size_t>(std::min(end, kMostData));
  return little_endian(bytes.size(), 8) + bytes + std::string(data, '\0');
}

std::string safetensors_header(
    const StateDict& tensors,
    const std::map<std::string, std::string>& metadata) {
  const std::string path = scratch() + "/seed.safetensors";
  write_safetensors(path, tensors, metadata);
  const auto bytes = read_file(path);
  return bytes.substr(8, bytes.find('\0', 8) - 8);
}

}  // namespace rsm::fuzz
