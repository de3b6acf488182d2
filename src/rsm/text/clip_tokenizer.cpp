#include "rsm/text/clip_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/printable.h"
#include "rsm/text/added_tokens.h"
#include "rsm/text/byte_pairs.h"
#include "rsm/text/clip_token_files.h"
#include "rsm/text/clip_words.h"
#include "rsm/text/encode_batch.h"

namespace rsm {
namespace {

using nlohmann::json;

const std::string kStart = "<|startoftext|>";
const std::string kEnd = "<|endoftext|>";

/** A token that is looked for in the text before it is split: as it is
 * written or, where `normalized`, in normalised text. */
struct AddedToken {
  bool normalized = false;
  int64_t id = -1;  ///< where the vocabulary doesn't have it
};

std::pair<std::string, AddedToken> read_added_token(const json& value,
                                                    const std::string& where) {
  if (value.is_string()) return {value.get<std::string>(), {}};
  RSM_CHECK(value.is_object() && value.contains("content") &&
                value["content"].is_string(),
            "[ClipTokenizer] ", where, " is ", shown_json(value),
            "; a text or an object with \"content\" is needed");
  for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
    RSM_CHECK(!value.contains(flag) || value[flag] == false, "[ClipTokenizer] ",
              where, ": ", flag, " is set; CLIP's tokenizer has no such token");
  }
  const bool normalized =
      value.contains("normalized") && value["normalized"] == true;
  return {value["content"].get<std::string>(), {normalized}};
}

int64_t integer(const json& value, const std::string& where, int64_t low,
                int64_t high) {
  const bool fits = value.is_number() && value.get<double>() >= low &&
                    value.get<double>() <= high &&
                    value.get<double>() == std::floor(value.get<double>());
  RSM_CHECK(fits, "[ClipTokenizer] ", where, " is ", shown_json(value),
            "; an integer from ", low, " to ", high, " is needed");
  return value.get<int64_t>();
}

/** `longest` is taken where the config gives no length, or transformers' stand-
 * in for none (1e30); 0: there must be one. */
int64_t read_length(const json& config, const std::string& path,
                    int64_t longest) {
  const json given = config.value("model_max_length", json());
  const bool none = given.is_null() ||
                    (given.is_number() && given.get<double>() > kMostLength);
  if (none && longest >= 2) return longest;
  return integer(given, path + ": model_max_length", 2, kMostLength);
}

}  // namespace

struct ClipTokenizer::Tables {
  BytePairs pairs;
  std::vector<std::pair<std::string, int64_t>> as_written;
  std::vector<std::pair<std::u32string, int64_t>> in_normalized;
  int64_t max_length = 0;
  int64_t size = 0;
  int64_t start = 0;
  int64_t end = 0;
  int64_t pad = 0;

  void read(const std::string& folder, int64_t longest);

  void read_vocabulary(const json& vocabulary, const std::string& path) {
    RSM_CHECK(vocabulary.is_object(), "[ClipTokenizer] ", path,
              ": the vocabulary is ", shown_json(vocabulary),
              "; an object from token to id is needed");
    for (const auto& [token, id] : vocabulary.items()) {
      pairs.ids[token] =
          integer(id, path + ": \"" + shown(token) + "\"", 0, kLargestTokenId);
      size = std::max(size, pairs.ids[token] + 1);
    }
  }

  void add_merge(const std::string& merge, const std::string& where) {
    const size_t space = merge.find(' ');
    RSM_CHECK(space != std::string::npos &&
                  merge.find(' ', space + 1) == std::string::npos,
              "[ClipTokenizer] ", where, " is \"", shown(merge),
              "\"; two tokens with a space between are needed");
    RSM_CHECK(pairs.add_merge(merge.substr(0, space), merge.substr(space + 1)),
              "[ClipTokenizer] ", where, " is \"", shown(merge),
              "\"; both tokens and what they make must be in the vocabulary");
  }

  void read_merges_text(const std::string& path) {
    std::istringstream lines(read_file(path, kConfigBytes));
    std::string line;
    for (int64_t number = 1; std::getline(lines, line); ++number) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.rfind("#version", 0) == 0) continue;
      add_merge(line, cat(path, ":", number));
    }
  }

  void read_merges_json(const json& merges, const std::string& path) {
    RSM_CHECK(merges.is_array(), "[ClipTokenizer] ", path,
              ": model.merges is missing or no list");
    for (const auto& merge : merges) {
      const bool pair = merge.is_array() && merge.size() == 2 &&
                        merge[0].is_string() && merge[1].is_string();
      RSM_CHECK(pair || merge.is_string(), "[ClipTokenizer] ", path,
                ": a merge is ", shown_json(merge),
                "; two texts, or one with a space between, are needed");
      add_merge(
          pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
               : merge.get<std::string>(),
          path + ": a merge");
    }
  }

  int64_t id_of(const std::string& token, const std::string& where) const {
    const auto found = pairs.ids.find(token);
    RSM_CHECK(found != pairs.ids.end(), "[ClipTokenizer] ", where, ": \"",
              shown(token), "\" is not in the vocabulary; add it there");
    return found->second;
  }

  using AddedTokens = std::map<std::string, AddedToken>;
  AddedTokens read_added_tokens(const json& added, const std::string& folder);
  void read_special_tokens(const ClipTokenFiles& files,
                           const std::string& folder);
};

/** Puts added tokens into the vocabulary. Among equal contents the last one
 * counts: as transformers does, which gives new ones the next ids whatever the
 * files say. */
ClipTokenizer::Tables::AddedTokens ClipTokenizer::Tables::read_added_tokens(
    const json& added, const std::string& folder) {
  AddedTokens known;
  std::map<int64_t, std::string> by_id;
  for (const auto& value : added) {
    auto [content, token] = read_added_token(value, folder + ": added token");
    token.id = integer(value.is_object() ? value.value("id", json()) : json(),
                       folder + ": id of \"" + shown(content) + "\"", 0,
                       kLargestTokenId);
    if (content.empty()) continue;
    known[content] = token;
    by_id[token.id] = content;
  }
  for (const auto& [id, content] : by_id) {
    const auto next = static_cast<int64_t>(pairs.ids.size());
    const auto [at, is_new] = pairs.ids.emplace(content, id);
    RSM_CHECK(!is_new || id == next, "[ClipTokenizer] ", folder,
              ": the added token \"", shown(content), "\" has the id ", id,
              "; the next one, ", next, ", is needed");
    size = std::max(size, id + 1);
  }
  for (const auto& [content, token] : known) {
    RSM_CHECK(pairs.ids.contains(content), "[ClipTokenizer] ", folder,
              ": the added token \"", shown(content), "\" has the id ",
              token.id, ", which another has too; one each is needed");
  }
  return known;
}

/** A listed token counts before one that is only named: as in transformers. */
void ClipTokenizer::Tables::read_special_tokens(const ClipTokenFiles& files,
                                                const std::string& folder) {
  const json& config = files.config;
  AddedTokens known = read_added_tokens(files.added, folder);
  const std::map<std::string, AddedToken> fixed = known;
  const auto special = [&](const char* key, const json& fallback) -> int64_t {
    const std::string where = cat(folder, ": ", key);
    const json given = config.value(key, json());
    const json& value = given.is_null() ? fallback : given;
    if (value.is_null()) return -1;
    const auto [content, token] = read_added_token(value, where);
    if (!content.empty() && fixed.count(content) == 0) known[content] = token;
    return id_of(content, where);
  };
  start = special("bos_token", kStart);
  end = special("eos_token", kEnd);
  pairs.unknown = special("unk_token", kEnd);
  special("sep_token", nullptr);
  pad = special("pad_token", kEnd);
  special("cls_token", nullptr);
  special("mask_token", nullptr);
  for (const auto& [content, token] : known) {
    const int64_t id = pairs.ids.at(content);
    if (token.normalized) {
      in_normalized.emplace_back(clip_normalized(content), id);
    } else {
      as_written.emplace_back(content, id);
    }
  }
}

void ClipTokenizer::Tables::read(const std::string& folder, int64_t longest) {
  const auto files = read_clip_token_files(folder);
  max_length =
      read_length(files.config, folder + "/tokenizer_config.json", longest);
  if (files.unified.is_null()) {
    const std::string path = folder + "/vocab.json";
    read_vocabulary(read_python_json(path), path);
    read_merges_text(folder + "/merges.txt");
  } else {
    const std::string path = folder + "/tokenizer.json";
    const json model = files.unified.value("model", json());
    const JsonFields fields(model, "[ClipTokenizer] " + path + ": model");
    read_vocabulary(fields.value("vocab"), path);
    read_merges_json(fields.value("merges"), path);
  }
  read_special_tokens(files, folder);
}

ClipTokenizer::ClipTokenizer(std::shared_ptr<const Tables> tables)
    : tables_(std::move(tables)) {}

ClipTokenizer ClipTokenizer::load(const std::string& folder, int64_t longest) {
  auto tables = std::make_shared<Tables>();
  tables->read(folder, longest);
  return ClipTokenizer(std::move(tables));
}

std::vector<int64_t> ClipTokenizer::tokens(const std::string& text) const {
  std::vector<int64_t> out;
  const auto token = [&](int64_t id) { out.push_back(id); };
  const auto plain = [&](const std::u32string& part) {
    for (const auto& piece : clip_words(part)) {
      const auto ids = tables_->pairs.encode(to_utf8(piece));
      out.insert(out.end(), ids.begin(), ids.end());
    }
  };
  const auto raw = [&](const std::string& part) {
    divide(clip_normalized(part), tables_->in_normalized, plain, token);
  };
  divide(text, tables_->as_written, raw, token);
  return out;
}

std::vector<int64_t> ClipTokenizer::encode(const std::string& text) const {
  auto ids = tokens(text);
  const auto length = static_cast<size_t>(tables_->max_length);
  ids.resize(std::min(ids.size(), length - 2));
  ids.insert(ids.begin(), tables_->start);
  ids.push_back(tables_->end);
  ids.resize(length, tables_->pad);
  return ids;
}

bool ClipTokenizer::cuts(const std::string& text) const {
  return static_cast<int64_t>(tokens(text).size()) > max_length() - 2;
}

torch::Tensor ClipTokenizer::encode_batch(
    const std::vector<std::string>& texts) const {
  return rsm::encode_batch(*this, texts);
}

int64_t ClipTokenizer::max_length() const { return tables_->max_length; }
int64_t ClipTokenizer::vocabulary_size() const { return tables_->size; }
int64_t ClipTokenizer::start_id() const { return tables_->start; }
int64_t ClipTokenizer::end_id() const { return tables_->end; }
int64_t ClipTokenizer::pad_id() const { return tables_->pad; }

void write_word_vocabulary(const std::string& folder,
                           const std::vector<std::string>& words,
                           int64_t model_max_length) {
  RSM_CHECK(model_max_length >= 2, "[write_word_vocabulary] model_max_length ",
            model_max_length, " arrived; start and end alone need 2");
  BytePairs pairs;
  std::vector<std::string> names;
  const auto add = [&](const std::string& token) {
    const auto id = static_cast<int64_t>(names.size());
    if (pairs.ids.emplace(token, id).second) names.push_back(token);
  };
  for (const auto& symbol : byte_symbols()) add(symbol);
  for (const auto& symbol : byte_symbols()) add(symbol + kWordEnd);
  std::string merges = "#version: 0.2\n";
  for (const auto& word : words) {
    const bool letters =
        !word.empty() && std::all_of(word.begin(), word.end(), [](char letter) {
          return letter >= 'a' && letter <= 'z';
        });
    RSM_CHECK(letters, "[write_word_vocabulary] \"", word,
              "\" arrived; words of the letters a to z are allowed");
    // New merges rank behind all others. So they cannot stop an earlier word,
    // which has a merge of lower rank to take until it is one token.
    for (auto ids = pairs.encode(word); ids.size() > 1;
         ids = pairs.encode(word)) {
      const std::string left = names[static_cast<size_t>(ids[0])];
      const std::string right = names[static_cast<size_t>(ids[1])];
      add(left + right);
      pairs.add_merge(left, right);
      merges += left + " " + right + "\n";
    }
  }
  add(kStart);
  add(kEnd);
  const json special = {{"bos_token", kStart},
                        {"eos_token", kEnd},
                        {"pad_token", kEnd},
                        {"unk_token", kEnd}};
  json config = special;
  config["model_max_length"] = model_max_length;
  config["tokenizer_class"] = "CLIPTokenizer";
  make_folders(folder);
  write_json_atomic(folder + "/vocab.json", json(pairs.ids));
  write_file_atomic(folder + "/merges.txt", merges);
  write_json_atomic(folder + "/special_tokens_map.json", special);
  write_json_atomic(folder + "/tokenizer_config.json", config);
}

}  // namespace rsm
