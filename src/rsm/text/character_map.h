#pragma once

#include <string_view>

namespace rsm {

/** Whether bytes are a character map that SentencePiece can walk through
 * (precompiled_charsmap): the length of a double-array trie, the trie, in which
 * every step from its root stays inside and leads to a text, and the texts,
 * each ended by a zero. SentencePiece itself takes the trie on trust, and would
 * read beyond it. Source: sentencepiece's normalizer.cc; Darts-clone 0.32,
 * "DoubleArrayUnit". */
bool is_character_map(std::string_view bytes);

}  // namespace rsm
