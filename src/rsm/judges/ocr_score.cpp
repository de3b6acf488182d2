#include "rsm/judges/ocr_score.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

constexpr char kQuote = '"';

std::u32string letters_of(const std::string& text) {
  auto small = icu::UnicodeString::fromUTF8(text);
  small.toLower(icu::Locale::getRoot());
  std::u32string out;
  for (int32_t at = 0; at < small.length(); at = small.moveIndex32(at, 1)) {
    const auto letter = static_cast<char32_t>(small.char32At(at));
    if (letter != U' ') out += letter;
  }
  return out;
}

}  // namespace

std::string quoted_text(const std::string& who, const std::string& prompt) {
  const size_t begin = prompt.find(kQuote);
  const size_t end = begin == std::string::npos
                         ? std::string::npos
                         : prompt.find(kQuote, begin + 1);
  RSM_CHECK(end != std::string::npos, "[", who, "] the prompt \"",
            shown(prompt),
            "\" quotes nothing; what is to be written has to stand between "
            "two straight double quotes, as in: a sign that says \"Open\"");
  const auto text = prompt.substr(begin + 1, end - begin - 1);
  RSM_CHECK(text.find_first_not_of(' ') != std::string::npos, "[", who,
            "] the prompt \"", shown(prompt),
            "\" quotes nothing but spaces; text is needed there");
  return text;
}

int64_t edit_distance(const std::u32string& a, const std::u32string& b) {
  // Row i: from the first i letters of `a` to the first j of `b`.
  std::vector<int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

double ocr_score(const std::string& read, const std::string& asked) {
  const auto found = letters_of(read), wanted = letters_of(asked);
  RSM_CHECK(!wanted.empty(),
            "[ocr_score] nothing is asked for; text is needed");
  if (found.find(wanted) != std::u32string::npos) return 1;
  const auto length = static_cast<int64_t>(wanted.size());
  const int64_t distance = std::min(edit_distance(found, wanted), length);
  return 1 - static_cast<double>(distance) / static_cast<double>(length);
}

}  // namespace rsm
