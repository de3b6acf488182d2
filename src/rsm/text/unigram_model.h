#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace rsm {

/** A SentencePiece model, the bytes of a spiece.model, of what a tokenizer.json
 * of T5's kind says: its Unigram pieces and scores and its Precompiled
 * character map. As in a spiece.model, added tokens are control pieces.
 * Throws rsm::Error naming `path` and the key for another model, normaliser or
 * pre-tokeniser, or what is malformed.
 * Source: sentencepiece_model.proto of google/sentencepiece 0.1.97. */
std::string unigram_model(const nlohmann::json& tokenizer,
                          const std::string& path);

}  // namespace rsm
