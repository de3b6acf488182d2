#include "rsm/text/unigram_model.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_set>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/protobuf.h"
#include "rsm/text/added_tokens.h"
#include "rsm/text/character_map.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kSpace = "\u2581";  // what stands for a space in pieces

/** Numbers of fields, and of types of pieces, in sentencepiece_model.proto. */
enum ModelField { kPieces = 1, kNormalizer = 3 };
enum PieceField { kPiece = 1, kScore = 2, kType = 3 };
enum PieceType { kNormal = 1, kUnknown = 2, kControl = 3 };
enum NormalizerField { kCharacterMap = 2 };

std::string from_base64(const JsonFields& fields, const std::string& key) {
  const std::string text = fields.text(key);
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size =
      text.size() % 4 == 0
          ? EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                            reinterpret_cast<const unsigned char*>(text.data()),
                            static_cast<int>(text.size()))
          : -1;
  fields.check(key, size == static_cast<int>(bytes.size()), "base64");
  const size_t padding = text.size() - text.find_last_not_of('=') - 1;
  bytes.resize(bytes.size() - std::min(padding, bytes.size()));
  return bytes;
}

/** The parts of a Sequence, or the one part that is none, in the list `key`;
 * each is an object. */
json parts_of(const json& part, const std::string& key,
              const std::string& where) {
  json parts = json::array();
  const JsonFields fields(part, where);
  if (fields.value("type") == "Sequence") {
    parts = fields.value(key);
    fields.check(key, parts.is_array(), "a list");
  } else {
    parts.push_back(part);
  }
  for (const auto& one : parts) JsonFields(one, where);
  return parts;
}

/** What SentencePiece does besides its character map, in the words of
 * Hugging Face: no space at the end, and one for several. */
bool is_of_spaces(const json& normalizer) {
  static const json strip = {
      {"type", "Strip"}, {"strip_left", false}, {"strip_right", true}};
  static const json replace = {{"type", "Replace"},
                               {"pattern", {{"Regex", " {2,}"}}},
                               {"content", kSpace}};
  return normalizer == strip || normalizer == replace;
}

std::string character_map(const json& tokenizer, const std::string& who) {
  const std::string where = who + ": normalizer";
  const json normalizer = tokenizer.value("normalizer", json());
  if (normalizer.is_null()) return "";
  std::string map;
  for (const auto& part : parts_of(normalizer, "normalizers", where)) {
    const JsonFields fields(part, where);
    const bool precompiled = fields.value("type") == "Precompiled";
    if (precompiled && map.empty()) {
      map = from_base64(fields, "precompiled_charsmap");
      fields.check("precompiled_charsmap", map.empty() || is_character_map(map),
                   "a whole character map of SentencePiece's");
    } else {
      fields.only("type", is_of_spaces(part),
                  "one Precompiled, then what spaces are of SentencePiece,");
    }
  }
  return map;
}

/** Words begin with kSpace, and nothing else is split. */
void check_pre_tokenizer(const json& tokenizer, const std::string& who) {
  const std::string where = who + ": pre_tokenizer";
  const json given = tokenizer.value("pre_tokenizer", json());
  const json parts = parts_of(given, "pretokenizers", where);
  bool prefixed = false;
  for (const auto& part : parts) {
    const JsonFields fields(part, where);
    const json& type = fields.value("type");
    fields.only("type", type == "Metaspace" || type == "WhitespaceSplit",
                "Metaspace, after WhitespaceSplit or alone,");
    if (type != "Metaspace") continue;
    prefixed = true;
    const json scheme = part.value("prepend_scheme", json());
    fields.only("replacement", fields.value("replacement") == kSpace,
                json(kSpace).dump());
    fields.only("prepend_scheme", scheme.is_null() || scheme == "always",
                "\"always\"");
    for (const char* key : {"add_prefix_space", "split"}) {
      fields.only(key, part.value(key, json(true)) == true, "true");
    }
  }
  RSM_CHECK(prefixed, "[T5Tokenizer] ", where, " is ", shown_json(given),
            "; only one with Metaspace is supported");
}

std::unordered_set<std::string> added_contents(const json& tokenizer,
                                               const std::string& who) {
  std::unordered_set<std::string> found;
  const JsonFields fields(tokenizer, who);
  const json& added = fields.value("added_tokens");
  fields.check("added_tokens", added.is_null() || added.is_array(), "a list");
  for (const auto& token : added) found.insert(token_content(token));
  return found;
}

void add_pieces(ProtobufMessage& model, const json& tokenizer,
                const std::string& who) {
  const JsonFields fields = JsonFields(tokenizer, who).object("model");
  fields.only("type", fields.value("type") == "Unigram", "\"Unigram\"");
  const json& fallback = fields.value("byte_fallback");
  fields.only("byte_fallback", fallback.is_null() || fallback == false,
              "false");
  const json& pieces = fields.value("vocab");
  fields.check("vocab", pieces.is_array(), "a list of pieces with scores");
  const auto unknown = static_cast<size_t>(fields.integer("unk_id"));
  fields.check("unk_id", unknown < pieces.size(), "the id of a piece");
  const auto added = added_contents(tokenizer, who);
  for (size_t id = 0; id < pieces.size(); ++id) {
    const json& piece = pieces[id];
    RSM_CHECK(piece.is_array() && piece.size() == 2 && piece[0].is_string() &&
                  piece[1].is_number(),
              who, ": model.vocab[", id, "] is ", shown_json(piece),
              "; a piece and its score are needed");
    const auto& text = piece[0].get_ref<const std::string&>();
    ProtobufMessage message;
    message.bytes(kPiece, text);
    message.number(kScore, piece[1].get<float>());
    message.integer(kType, id == unknown          ? kUnknown
                           : added.contains(text) ? kControl
                                                  : kNormal);
    model.bytes(kPieces, message.data());
  }
}

}  // namespace

std::string unigram_model(const json& tokenizer, const std::string& path) {
  const std::string who = "[T5Tokenizer] " + path;
  ProtobufMessage model, normalizer;
  add_pieces(model, tokenizer, who);
  check_pre_tokenizer(tokenizer, who);
  normalizer.bytes(kCharacterMap, character_map(tokenizer, who));
  model.bytes(kNormalizer, normalizer.data());
  return model.data();
}

}  // namespace rsm
