#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rsm {

/** Offset of the first byte that is not UTF-8; npos where there is none. */
size_t find_not_utf8(std::string_view text);

/** The line of a byte, counted from 1. */
int64_t line_of(std::string_view text, size_t byte);

/** What a text file says: its bytes without a byte order mark. Throws
 * rsm::UsageError "[who] origin:line: ..." where they are no text in UTF-8: in
 * another encoding, or with zero bytes, as binary files have them. */
std::string plain_text(const std::string& who, const std::string& origin,
                       std::string bytes);

}  // namespace rsm
