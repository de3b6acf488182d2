#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/io/json_fields.h"

/** Tokens beside a vocabulary, which are looked for in the text as a whole. */
namespace rsm {

/** What a token says that is a text or an object with "content"; "" where it is
 * neither. */
std::string token_content(const nlohmann::json& token);

/** The objects of a tokenizer_config.json's added_tokens_decoder, each with its
 * "id". Throws rsm::Error naming the key for what is no such object. */
nlohmann::json decoder_tokens(const JsonFields& config);

/** Finds `tokens` in a text, the longest where several begin at one place, and
 * hands on what lies between them and what they are, in order. */
template <typename Text, typename OnText, typename OnToken>
void divide(const Text& text,
            const std::vector<std::pair<Text, int64_t>>& tokens,
            const OnText& on_text, const OnToken& on_token) {
  size_t from = 0;
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    int64_t id = 0;
    for (const auto& [token, token_id] : tokens) {
      if (token.size() > length && text.compare(at, token.size(), token) == 0) {
        length = token.size();
        id = token_id;
      }
    }
    if (length == 0) {
      ++at;
      continue;
    }
    if (at > from) on_text(text.substr(from, at - from));
    on_token(id);
    at += length;
    from = at;
  }
  if (from < text.size()) on_text(text.substr(from));
}

}  // namespace rsm
