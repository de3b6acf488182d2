#include "rsm/base/error.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace rsm {
namespace {

/** Without upper case, and with one kind of hyphen. */
std::string simplified(std::string word) {
  for (char& c : word) {
    c = c == '_'
            ? '-'
            : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return word;
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string join(const std::vector<std::string>& words,
                 const std::string& separator) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    out += (i == 0 ? "" : separator) + words[i];
  }
  return out;
}

std::string nearest_word(const std::string& word,
                         const std::vector<std::string>& known) {
  constexpr size_t kLongest = 64;  // no word of ours; distances are quadratic
  std::string best;
  if (word.size() > kLongest) return best;
  // Two slips, more in long words, but never a wholly other short word.
  const size_t allowed = std::max<size_t>(2, word.size() / 3);
  size_t best_distance = std::min(allowed + 1, word.size());
  for (const auto& candidate : known) {
    const size_t distance =
        edit_distance(simplified(word), simplified(candidate));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string unknown_word(const std::string& word,
                         const std::vector<std::string>& known) {
  const std::string near = nearest_word(word, known);
  return cat("unknown \"", word, "\"; known: ", join(known),
             near.empty() ? "" : cat(" (did you mean \"", near, "\"?)"));
}

}  // namespace rsm
