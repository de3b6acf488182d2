#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace rsm {

/** How deep lists and objects may stand in each other, so that none of the
 * code that walks through them by calling itself runs out of stack. */
inline constexpr int kJsonDepth = 100;

/** Bytes of a JSON text, unless the reader allows less. */
inline constexpr size_t kJsonBytes = size_t{1} << 30;

/** The value of a JSON text. Throws rsm::Error, "WHAT:line:column: not valid
 * JSON: ...", where it is none, has a zero byte, nests deeper than kJsonDepth
 * or has more than `most` bytes; never anything of the parser's own. WHAT says
 * whose text it is: "[json] config.json". */
nlohmann::json parse_json(const std::string& what, std::string_view text,
                          size_t most = kJsonBytes);

/** A value on one line, without a newline. JSON has no NaN and no infinities:
 * they are written as null; bytes that are not UTF-8 as U+FFFD. */
std::string json_line(const nlohmann::json& value);

/** A number as JSON, which has no NaN and no infinities: they are null. */
nlohmann::json finite_or_null(double value);

/** The text with the NaN, Infinity and -Infinity that Python writes, though
 * JSON has none, as strings of these names. */
std::string quote_python_numbers(std::string_view text);

}  // namespace rsm
