#pragma once

#include <string>
#include <vector>

namespace rsm {

/** What CLIP's tokenizer does to a text (UTF-8) before it looks at its
 * vocabulary: NFC, each run of white space to one space, lower case. Throws
 * rsm::Error where the text is not UTF-8. */
std::u32string clip_normalized(const std::string& text);

/** Splits normalised text into the pieces that tokens never cross: runs of
 * letters, single digits, runs of other symbols, English endings such as 's;
 * white space is gone. Source: the expressions of CLIP and, within its pieces,
 * of GPT-2 in transformers 5, models/clip/tokenization_clip.py. */
std::vector<std::u32string> clip_words(const std::u32string& text);

std::string to_utf8(const std::u32string& text);

}  // namespace rsm
