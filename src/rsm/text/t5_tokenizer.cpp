#include "rsm/text/t5_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/plain_text.h"
#include "rsm/text/added_tokens.h"
#include "rsm/text/encode_batch.h"
#include "rsm/text/unigram_model.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kPadPiece = "<pad>";
constexpr const char* kEndPiece = "</s>";
constexpr const char* kUnknownPiece = "<unk>";
constexpr int64_t kExtraIds = 100;  // T5's sentinels
constexpr int64_t kMostExtraIds = 1 << 20;

/** White space to transformers, but not to SentencePiece. */
constexpr std::string_view kNextLine = "\u0085";
constexpr std::string_view kSpaces = " \t\n\r";

/** Options that would give other ids, and their only value here. */
void check_options(const JsonFields& config) {
  static const std::vector<std::pair<const char*, json>> needed = {
      {"tokenizer_class", {"T5Tokenizer", "T5TokenizerFast"}},
      {"padding_side", {"right"}},
      {"truncation_side", {"right"}},
      {"split_special_tokens", {false}},
      {"add_prefix_space", {true}}};
  for (const auto& [key, allowed] : needed) {
    const json& given = config.value(key);
    config.only(key,
                given.is_null() ||
                    std::count(allowed.begin(), allowed.end(), given) > 0,
                allowed[0].dump());
  }
  for (const auto& [key, content] : {std::pair{"pad_token", kPadPiece},
                                     {"eos_token", kEndPiece},
                                     {"unk_token", kUnknownPiece}}) {
    const json& given = config.value(key);
    config.only(key, given.is_null() || token_content(given) == content,
                json(content).dump());
  }
}

/** The object of a file; an empty one where there is no such file. */
json read_if_there(const std::string& path) {
  json value = is_there(path) ? read_python_json(path) : json::object();
  JsonFields(value, "[T5Tokenizer] " + path);
  return value;
}

}  // namespace

struct T5Tokenizer::Tables {
  sentencepiece::SentencePieceProcessor pieces;
  std::vector<std::pair<std::string, int64_t>> added;
  int64_t max_length = 0;
  int64_t size = 0;
  int64_t end = 0;
  int64_t pad = 0;

  void read(const std::string& folder) {
    const std::string config_path = folder + "/tokenizer_config.json";
    const std::string unified_path = folder + "/tokenizer.json";
    const json config = read_if_there(config_path);
    const json unified = read_if_there(unified_path);
    check_options(JsonFields(config, "[T5Tokenizer] " + config_path));
    read_model(folder, unified);
    if (config.contains("added_tokens_decoder")) {
      add_listed(
          decoder_tokens(JsonFields(config, "[T5Tokenizer] " + config_path)),
          config_path);
    } else if (unified.contains("added_tokens")) {
      add_listed(unified["added_tokens"], unified_path);
    } else {
      add_sentinels(JsonFields(config, "[T5Tokenizer] " + config_path,
                               JsonFields::Null::is_missing));
    }
  }

  void read_model(const std::string& folder, const json& unified) {
    std::string path = folder + "/spiece.model";
    std::string model;
    if (is_there(path)) {
      model = read_file(path, kConfigBytes);
    } else {
      path = folder + "/tokenizer.json";
      RSM_CHECK(!unified.empty(), "[T5Tokenizer] ", folder,
                " has neither a spiece.model nor a tokenizer.json; one of them "
                "is needed");
      model = unigram_model(unified, path);
    }
    const auto status = pieces.LoadFromSerializedProto(model);
    RSM_CHECK(status.ok(), "[T5Tokenizer] ", path,
              " is no SentencePiece model: ", status.ToString());
    size = pieces.GetPieceSize();
    pad = piece(kPadPiece, path);
    end = piece(kEndPiece, path);
  }

  int64_t piece(const std::string& name, const std::string& path) const {
    const int id = pieces.PieceToId(name);
    RSM_CHECK(!pieces.IsUnknown(id), "[T5Tokenizer] ", path, ": no piece is ",
              name, "; T5's tokenizer has one");
    return id;
  }

  void add(const std::string& content, int64_t id) {
    added.emplace_back(content, id);
    size = std::max(size, id + 1);
  }

  void add_listed(const json& tokens, const std::string& path) {
    RSM_CHECK(tokens.is_array(), "[T5Tokenizer] ", path, ": added_tokens is ",
              shown_json(tokens), "; a list is needed");
    for (const auto& token : tokens) {
      const std::string content = token_content(token);
      RSM_CHECK(token.is_object() && !content.empty() &&
                    is_integer(token.value("id", json()), 0, kLargestTokenId),
                "[T5Tokenizer] ", path, ": an added token is ",
                shown_json(token),
                "; an object with \"content\" and \"id\" is needed");
      for (const char* flag : {"normalized", "single_word"}) {
        RSM_CHECK(token.value(flag, json(false)) == false, "[T5Tokenizer] ",
                  path, ": ", flag, " of ", shown_json(content),
                  " is set; T5's tokenizer has no such token");
      }
      add(content, token["id"].get<int64_t>());
    }
  }

  /** Before tokens were listed, these stood behind the pieces, the last first;
   * a tokenizer.json has them among its pieces. */
  void add_sentinels(const JsonFields& config) {
    int64_t count = kExtraIds;
    config.integer("extra_ids", count, 0, kMostExtraIds);
    add(kPadPiece, pad);
    add(kEndPiece, end);
    add(kUnknownPiece, pieces.unk_id());
    const int64_t last = pieces.GetPieceSize() + count - 1;
    for (int64_t i = 0; i < count; ++i) {
      const std::string name = cat("<extra_id_", i, ">");
      const int id = pieces.PieceToId(name);
      add(name, pieces.IsUnknown(id) ? last - i : id);
    }
  }

  /** Appends a text's ids, word by word: SentencePiece's sums of scores lose
   * digits as they grow. */
  void encode(const std::string& text, std::vector<int64_t>& ids) const {
    std::vector<int> found;
    for (size_t at = 0; at < text.size();) {
      const size_t end_of_word =
          std::min(text.find_first_of(kSpaces, at), text.size());
      if (end_of_word > at) {
        const auto status = pieces.Encode(
            std::string_view(text).substr(at, end_of_word - at), &found);
        RSM_CHECK(status.ok(), "[T5Tokenizer] ", status.ToString());
        ids.insert(ids.end(), found.begin(), found.end());
      }
      at = end_of_word + 1;
    }
  }
};

T5Tokenizer::T5Tokenizer(std::shared_ptr<const Tables> tables)
    : tables_(std::move(tables)) {}

T5Tokenizer T5Tokenizer::load(const std::string& folder, int64_t max_length) {
  RSM_CHECK(max_length >= 1 && max_length <= kMostLength,
            "[T5Tokenizer] max_length ", max_length, " arrived; from 1 to ",
            kMostLength, " is allowed");
  auto tables = std::make_shared<Tables>();
  tables->max_length = max_length;
  tables->read(folder);
  return T5Tokenizer(std::move(tables));
}

std::vector<int64_t> T5Tokenizer::tokens(const std::string& text) const {
  const size_t bad = find_not_utf8(text);
  RSM_CHECK(bad == std::string::npos, "[T5Tokenizer] the byte ", bad + 1,
            " of a text is not UTF-8; convert the text to UTF-8");
  std::vector<int64_t> ids;
  const auto plain = [&](std::string part) {
    for (size_t at = 0; (at = part.find(kNextLine, at)) < part.size();) {
      part.replace(at, kNextLine.size(), " ");
    }
    tables_->encode(part, ids);
  };
  divide(text, tables_->added, plain, [&](int64_t id) { ids.push_back(id); });
  return ids;
}

std::vector<int64_t> T5Tokenizer::encode(const std::string& text) const {
  auto ids = tokens(text);
  const auto length = static_cast<size_t>(tables_->max_length);
  ids.resize(std::min(ids.size(), length - 1));
  ids.push_back(tables_->end);
  ids.resize(length, tables_->pad);
  return ids;
}

bool T5Tokenizer::cuts(const std::string& text) const {
  return static_cast<int64_t>(tokens(text).size()) > max_length() - 1;
}

torch::Tensor T5Tokenizer::encode_batch(
    const std::vector<std::string>& texts) const {
  return rsm::encode_batch(*this, texts);
}

int64_t T5Tokenizer::max_length() const { return tables_->max_length; }
int64_t T5Tokenizer::vocabulary_size() const { return tables_->size; }
int64_t T5Tokenizer::end_id() const { return tables_->end; }
int64_t T5Tokenizer::pad_id() const { return tables_->pad; }

}  // namespace rsm
