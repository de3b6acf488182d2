#include "rsm/text/clip_token_files.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/text/added_tokens.h"

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

std::set<std::string> special_contents(const json& config) {
  std::set<std::string> found;
  for (const auto key : kNamedTokens) {
    found.insert(token_content(config.value(std::string(key), json())));
  }
  return found;
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
  for (const auto& token : files.added) listed.insert(token_content(token));
  for (const char* key :
       {"additional_special_tokens", "extra_special_tokens"}) {
    const json given = files.config.value(key, json());
    const bool known =
        given.empty() ||
        (given.is_array() &&
         std::all_of(given.begin(), given.end(), [&](const json& token) {
           return listed.count(token_content(token)) > 0;
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
    files.added =
        decoder_tokens(JsonFields(files.config, "[ClipTokenizer] " + path));
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
