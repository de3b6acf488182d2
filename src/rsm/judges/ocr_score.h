#pragma once

#include <cstdint>
#include <string>

namespace rsm {

/** What a prompt asks to be written: what stands between its first two straight
 * double quotes. Throws rsm::Error, "[who] the prompt ... ", where there are no
 * two, or nothing but spaces between. */
std::string quoted_text(const std::string& who, const std::string& prompt);

/** Insertions, deletions and changes of one letter by which `a` becomes `b`
 * (Levenshtein), at least. */
int64_t edit_distance(const std::u32string& a, const std::u32string& b);

/** Flow-GRPO's score (arXiv 2505.05470, its OcrScorer), in [0,1], of what was
 * read for what was asked for, not empty, both in UTF-8: 1 - distance / length.
 * Spaces are left out and letters made small in both. The distance is 0 where
 * the one holds the other, or else that of edits, the length at most. */
double ocr_score(const std::string& read, const std::string& asked);

}  // namespace rsm
