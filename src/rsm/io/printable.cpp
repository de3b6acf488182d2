#include "rsm/io/printable.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

namespace rsm {
namespace {

constexpr size_t kShownBytes = 80;
constexpr std::string_view kDigits = "0123456789abcdef";

bool may_stand(UChar32 letter) {
  return letter == '\n' || letter == '\t' ||
         (letter >= 0 && u_charType(letter) != U_CONTROL_CHAR);
}

}  // namespace

std::string printable(std::string_view text, size_t most) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  std::string out;
  for (size_t next = 0; next < text.size();) {
    const size_t begin = next;
    UChar32 letter;
    U8_NEXT(bytes, next, text.size(), letter);
    if (next > most) {
      return out + "...";
    }
    if (may_stand(letter)) {
      out += text.substr(begin, next - begin);
      continue;
    }
    for (size_t i = begin; i < next; ++i) {
      out += "\\x";
      out += kDigits[bytes[i] >> 4];
      out += kDigits[bytes[i] & 15];
    }
  }
  return out;
}

std::string shown(std::string_view text) {
  std::string out = printable(text, kShownBytes);
  for (char& c : out) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return out;
}

}  // namespace rsm
