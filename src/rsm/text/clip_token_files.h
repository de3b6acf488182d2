#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace rsm {

/** What the files of a CLIP tokenizer's folder say, merged as transformers
 * merges them. */
struct ClipTokenFiles {
  /** tokenizer_config.json; where it lists no added_tokens_decoder, with what
   * special_tokens_map.json says instead. */
  nlohmann::json config;
  /** tokenizer.json; null where there is none. */
  nlohmann::json unified;
  /** Added tokens, objects with "content", "id" and flags: of the config's
   * added_tokens_decoder or, without one, of added_tokens.json and
   * tokenizer.json. */
  nlohmann::json added;
};

/** Throws rsm::Error naming the file and key that is missing, malformed, or
 * asks for another tokenizer than CLIP's as the public pipelines use it:
 * padding or truncation on the left, special tokens that are split, tokens
 * that are listed nowhere. */
ClipTokenFiles read_clip_token_files(const std::string& folder);

}  // namespace rsm
