#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace rsm {

/** A line of a log as it stands in the file. */
struct LogLine {
  std::string_view text;  ///< without the newline
  int64_t number = 1;     ///< from 1
  bool ended = true;      ///< false where the file stops before a newline

  bool blank() const;
};

std::vector<LogLine> log_lines(std::string_view text);

/** The line's object; a discarded value for a half-written last line. Throws
 * rsm::Error naming file and line where it is no JSON object with an integer
 * "epoch" from 0 on. */
nlohmann::json parse_log_line(const LogLine& line, const std::string& path);

}  // namespace rsm
