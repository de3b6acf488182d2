#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rsm {

/** Text of others as an error or a warning may show it: UTF-8, whatever came.
 * Control characters but line ends and tabs, and bytes that are no UTF-8, are
 * written as \xNN; what is left after `most` bytes as "...". */
std::string printable(std::string_view text, size_t most);

/** The same in one line of a message: spaces for line ends and tabs, and at
 * most 80 bytes. */
std::string shown(std::string_view text);

}  // namespace rsm
