#include "rsm/judges/ocr_score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** By its definition: the best of the three last edits. */
int64_t by_recursion(const std::u32string& a, const std::u32string& b) {
  if (a.empty()) return std::ssize(b);
  if (b.empty()) return std::ssize(a);
  const auto short_a = a.substr(1), short_b = b.substr(1);
  if (a[0] == b[0]) return by_recursion(short_a, short_b);
  return 1 + std::min({by_recursion(short_a, b), by_recursion(a, short_b),
                       by_recursion(short_a, short_b)});
}

std::u32string word(uint64_t number, int64_t length) {
  std::u32string out;
  for (const int64_t one : counted_permutation(number, 6)) {
    if (std::ssize(out) < length) out += static_cast<char32_t>(U'a' + one % 3);
  }
  return out;
}

TEST(EditDistance, IsThatOfItsDefinition) {
  std::vector<std::u32string> words = {U"", U"a", U"ab"};
  for (uint64_t i = 0; i < 12; ++i) {
    words.push_back(word(i, 2 + static_cast<int64_t>(i % 5)));
  }
  for (const auto& a : words) {
    EXPECT_EQ(edit_distance(a, a), 0);
    for (const auto& b : words) {
      const int64_t distance = edit_distance(a, b);
      EXPECT_EQ(distance, by_recursion(a, b));
      EXPECT_EQ(distance, edit_distance(b, a));
    }
  }
}

TEST(EditDistance, HasItsTextbookValues) {
  EXPECT_EQ(edit_distance(U"kitten", U"sitting"), 3);
  EXPECT_EQ(edit_distance(U"flaw", U"lawn"), 2);
  EXPECT_EQ(edit_distance(U"", U"abc"), 3);
  EXPECT_EQ(edit_distance(U"intention", U"execution"), 5);
}

TEST(OcrScore, IsFlowGrpos) {
  for (const auto& [read, asked, score] :
       std::vector<std::tuple<const char*, const char*, double>>{
           {"Open", "open", 1},
           {"WE ARE OPEN TODAY", "we are open", 1},  // it holds it
           {"0pen", "Open", 0.75},
           {"OPN", "Open", 0.75},
           {"", "Open", 0},
           {"something else altogether", "Open", 0},  // not below
           {"S T O P", "stop", 1},
           {"Stop now", "Stop  n o w", 1},
           {"caf\xc3\xa9", "CAF\xc3\x89", 1},
           {"cafe", "caf\xc3\xa9", 0.75},  // a letter, not two bytes
           {"\xce\xa3\xce\xa4", "\xcf\x83\xcf\x84", 1}}) {
    EXPECT_DOUBLE_EQ(ocr_score(read, asked), score) << read << " " << asked;
  }
}

TEST(OcrScore, IsOfWhatThePromptQuotes) {
  EXPECT_EQ(quoted_text("me", R"(a sign "Open 24h" by "the" sea)"), "Open 24h");
  for (const char* prompt : {"a sign", "a sign \"Open", "\u201cOpen\u201d"}) {
    expect_parts(error_of([&] { quoted_text("me", prompt); }),
                 {"[me] the prompt \"", "quotes nothing;", "straight"});
  }
  for (const char* prompt : {"\"\" a", "a \"  \" sign \"b\""}) {
    expect_parts(error_of([&] { quoted_text("me", prompt); }),
                 {"[me]", "nothing but spaces"});
  }
}

}  // namespace
}  // namespace rsm
