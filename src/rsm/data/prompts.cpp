#include "rsm/data/prompts.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/data/shapes_world.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

constexpr const char* kShapesPrefix = "shapes:";

Prompts load_shapes(const std::string& split) {
  static const std::map<std::string, ShapesSplit> splits = {
      {"all", ShapesSplit::all},
      {"held_out", ShapesSplit::held_out},
      {"train", ShapesSplit::train}};
  const auto found = splits.find(split);
  if (found == splits.end()) {
    std::vector<std::string> known;
    for (const auto& entry : splits) {
      known.push_back(kShapesPrefix + entry.first);
    }
    throw UsageError(
        cat("[prompts] ", unknown_word(kShapesPrefix + split, known)));
  }
  return shapes_prompts(found->second);
}

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\v\f";
  const size_t first = text.find_first_not_of(kSpace);
  return first == std::string::npos
             ? ""
             : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/** The text at `key`; "" where the key is absent. */
std::string text_at(const nlohmann::json& object, const std::string& key,
                    const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return "";
  }
  RSM_CHECK(found->is_string(), where, "\"", key, "\" is ", found->type_name(),
            "; it must be a string");
  return trimmed(found->get<std::string>());
}

Prompt parse_json_line(const std::string& line, const std::string& where) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  RSM_CHECK(!object.is_discarded(), where,
            "this is no JSON: ", line.substr(0, 80),
            "; a .jsonl file has one JSON object a line");
  RSM_CHECK(object.is_object(), where, "JSON of type ", object.type_name(),
            "; each line must be an object with \"prompt\"");
  Prompt prompt;
  prompt.text = text_at(object, "prompt", where);
  RSM_CHECK(!prompt.text.empty(), where,
            "there is no \"prompt\" or it is empty; give it a text");
  prompt.category = text_at(object, "category", where);
  if (prompt.category.empty()) {
    prompt.category = text_at(object, "tag", where);
  }
  return prompt;
}

Prompts load_file(const std::string& path) {
  constexpr const char* kByteOrderMark = "\xEF\xBB\xBF";
  const bool json = path.ends_with(".jsonl");
  std::string content = read_file(path);
  if (content.starts_with(kByteOrderMark)) {
    content.erase(0, 3);
  }
  Prompts prompts;
  std::istringstream lines(content);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = trimmed(line);
    if (line.empty()) {
      continue;
    }
    Prompt prompt;
    if (json) {
      prompt =
          parse_json_line(line, cat("[prompts] ", path, ":", number, ": "));
    } else {
      prompt.text = line;
    }
    prompt.id = static_cast<int64_t>(prompts.size());
    prompts.push_back(prompt);
  }
  RSM_CHECK(!prompts.empty(), "[prompts] ", path, " has ", number,
            " lines and no prompt; write one prompt a line");
  return prompts;
}

}  // namespace

Prompts load_prompts(const std::string& what) {
  if (what.starts_with(kShapesPrefix)) {
    return load_shapes(what.substr(std::string(kShapesPrefix).size()));
  }
  if (!std::filesystem::is_regular_file(what)) {
    throw UsageError(cat("[prompts] \"", what,
                         "\" is no file; give a text or .jsonl file, or ",
                         "shapes:train, shapes:held_out or shapes:all"));
  }
  return load_file(what);
}

std::vector<int64_t> epoch_prompts(uint64_t run_seed, int64_t epoch,
                                   const Prompts& prompts, int64_t count) {
  RSM_CHECK(epoch >= 0 && !prompts.empty() && count >= 0,
            "[epoch_prompts] epoch ", epoch, ", ", prompts.size(),
            " prompts, count ", count,
            "; there must be a prompt, the rest is at least 0");
  std::vector<std::string> names;
  std::map<std::string, std::vector<int64_t>> members;
  for (int64_t i = 0; i < std::ssize(prompts); ++i) {
    auto& own = members[prompts[i].category];
    if (own.empty()) {
      names.push_back(prompts[i].category);
    }
    own.push_back(i);
  }
  const auto permutation = [&](uint64_t category, uint64_t pass, int64_t size) {
    return counted_permutation(
        counted_seed(run_seed, Purpose::prompt_order,
                     {static_cast<uint64_t>(epoch), category, pass}),
        size);
  };
  // Category 0 stands for the order of the categories themselves.
  const auto turns = permutation(0, 0, std::ssize(names));
  std::vector<int64_t> chosen;
  for (int64_t j = 0; j < count; ++j) {
    const int64_t category = turns[j % std::ssize(names)];
    const auto& own = members[names[category]];
    const int64_t k = j / std::ssize(names);
    const auto order = permutation(static_cast<uint64_t>(category) + 1,
                                   static_cast<uint64_t>(k / std::ssize(own)),
                                   std::ssize(own));
    chosen.push_back(own[order[k % std::ssize(own)]]);
  }
  return chosen;
}

}  // namespace rsm
