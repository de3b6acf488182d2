#include "rsm/io/plain_text.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

size_t find_not_utf8(std::string_view text) {
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t at = 0; at < size;) {
    const int64_t start = at;
    UChar32 symbol = 0;
    U8_NEXT(text.data(), at, size, symbol);
    if (symbol < 0) return static_cast<size_t>(start);
  }
  return std::string_view::npos;
}

int64_t line_of(std::string_view text, size_t byte) {
  const auto before = text.substr(0, byte);
  return std::count(before.begin(), before.end(), '\n') + 1;
}

std::string plain_text(const std::string& who, const std::string& origin,
                       std::string bytes) {
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    throw UsageError(cat("[", who, "] ", origin,
                         ": text in UTF-16; save the file as UTF-8"));
  }
  const size_t zero = bytes.find('\0');
  if (zero != std::string::npos) {
    throw UsageError(cat("[", who, "] ", origin, ":", line_of(bytes, zero),
                         ": a byte 0, so this is no text; give a text file in "
                         "UTF-8"));
  }
  const size_t bad = find_not_utf8(bytes);
  if (bad != std::string::npos) {
    std::array<char, 8> byte;
    std::snprintf(byte.data(), byte.size(), "0x%02X",
                  static_cast<unsigned char>(bytes[bad]));
    throw UsageError(cat("[", who, "] ", origin, ":", line_of(bytes, bad),
                         ": the byte ", byte.data(),
                         " is not UTF-8; save the file as UTF-8"));
  }
  if (bytes.starts_with(kByteOrderMark)) bytes.erase(0, kByteOrderMark.size());
  return bytes;
}

}  // namespace rsm
