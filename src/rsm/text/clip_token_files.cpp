#include "rsm/text/clip_token_files.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 7> kNamedTokens = {
    "bos_token", "eos_token", "unk_token", "sep_token",
    "pad_token", "cls_token", "mask_token"};

json read_object(const std::string& path) {
  json value = read_python_json(path);
  JsonFields(value, "[ClipTokenizer] " + path);
  return value;
}

/** Options that would give other ids, and their only value here. */
void check_options(const json& config, const std::string& path) {
  static const std::vector<std::pair<const char*, json>> needed = {
      {"tokenizer_class", {"CLIPTokenizer", "CLIPTokenizerFast"}},
      {"padding_side", {"right"}},
      {"truncation_side", {"right"}},
      {"split_special_tokens", {false}}};
  const JsonFields fields(config, "[ClipTokenizer] " + path);
  for (const auto& [key, allowed] : needed) {
    const json& given = fields.value(key);
    fields.only(key,
                given.is_null() ||
                    std::count(allowed.begin(), allowed.end(), given) > 0,
                allowed[0].dump());
  }
  for (const auto& key : fields.keys()) {
    const json& given = fields.value(key);
    const bool names_a_token = key.ends_with("_token") &&
                               !key.starts_with("add_") &&
                               (given.is_string() || given.is_object());
    fields.check(key,
                 !names_a_token || std::count(kNamedTokens.begin(),
                                              kNamedTokens.end(), key) > 0,
                 "its entry in added_tokens_decoder instead");
  }
}

std::string content_of(const json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return "";
  const json content = token.value("content", json());
  return content.is_string() ? content.get<std::string>() : "";
}

std::set<std::string> special_contents(const json& config) {
  std::set<std::string> found;
  for (const auto key : kNamedTokens) {
    found.insert(content_of(config.value(std::string(key), json())));
  }
  return found;
}

json of_decoder(const json& config, const std::string& path) {
  const auto decoder = JsonFields(config, "[ClipTokenizer] " + path)
                           .object("added_tokens_decoder");
  json added = json::array();
  for (const auto& id : decoder.keys()) {
    const json& token = decoder.value(id);
    const bool digits = !id.empty() && id.size() < 10 &&
                        id.find_first_not_of("0123456789") == std::string::npos;
    decoder.check(id, digits && token.is_object(),
                  "an id with an object with \"content\"");
    added.push_back(token);
    added.back()["id"] = std::stoll(id);
  }
  return added;
}

/** added_tokens.json maps texts to ids; transformers looks for them in
 * normalised text unless they are special. */
void add_legacy(const std::string& path, const json& config, json& added) {
  const json given = read_object(path);
  const auto special = special_contents(config);
  for (const auto& item : given.items()) {
    added.push_back({{"content", item.key()},
                     {"id", item.value()},
                     {"normalized", special.count(item.key()) == 0}});
  }
}

/** Extra tokens are fine where they are among the added ones. */
void check_extra_tokens(const ClipTokenFiles& files,
                        const std::string& folder) {
  std::set<std::string> listed;
  for (const auto& token : files.added) listed.insert(content_of(token));
  for (const char* key :
       {"additional_special_tokens", "extra_special_tokens"}) {
    const json given = files.config.value(key, json());
    const bool known =
        given.empty() ||
        (given.is_array() &&
         std::all_of(given.begin(), given.end(), [&](const json& token) {
           return listed.count(content_of(token)) > 0;
         }));
    RSM_CHECK(known, "[ClipTokenizer] ", folder, ": ", key, " is ",
              shown_json(given), "; list them in added_tokens_decoder");
  }
}

}  // namespace

ClipTokenFiles read_clip_token_files(const std::string& folder) {
  const std::string path = folder + "/tokenizer_config.json";
  ClipTokenFiles files;
  files.config = read_object(path);
  files.added = json::array();
  if (is_there(folder + "/tokenizer.json")) {
    files.unified = read_object(folder + "/tokenizer.json");
  }
  if (files.config.contains("added_tokens_decoder")) {
    check_options(files.config, path);
    files.added = of_decoder(files.config, path);
  } else {
    if (is_there(folder + "/special_tokens_map.json")) {
      files.config.update(read_object(folder + "/special_tokens_map.json"));
    }
    check_options(files.config, path);
    if (is_there(folder + "/added_tokens.json")) {
      add_legacy(folder + "/added_tokens.json", files.config, files.added);
    }
    const json listed =
        files.unified.is_null()
            ? json::array()
            : files.unified.value("added_tokens", json::array());
    RSM_CHECK(listed.is_array(), "[ClipTokenizer] ", folder,
              "/tokenizer.json: added_tokens is ", shown_json(listed),
              "; a list is needed");
    files.added.insert(files.added.end(), listed.begin(), listed.end());
  }
  check_extra_tokens(files, folder);
  return files;
}

}  // namespace rsm
