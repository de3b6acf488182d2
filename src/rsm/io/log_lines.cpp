#include "rsm/io/log_lines.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"

namespace rsm {
namespace {

constexpr uint64_t kMostEpochs = 1'000'000'000'000;

}  // namespace

bool LogLine::blank() const {
  return text.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::vector<LogLine> log_lines(std::string_view text) {
  std::vector<LogLine> lines;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const bool ended = end != std::string_view::npos;
    lines.push_back({text.substr(0, end), number, ended});
    text.remove_prefix(ended ? end + 1 : text.size());
  }
  return lines;
}

nlohmann::json parse_log_line(const LogLine& line, const std::string& path) {
  const auto where = cat("[log] ", path, ":", line.number, ": ");
  nlohmann::json value;
  try {
    value = parse_json(where, line.text);
  } catch (const Error&) {
    if (!line.ended) return nlohmann::json::value_t::discarded;
    throw Error(where + "not valid JSON; a log has one JSON object a line");
  }
  RSM_CHECK(value.is_object(), where, "arrived ", value.type_name(),
            "; a log has one JSON object a line");
  // JSON's whole numbers from 0 on are read as unsigned.
  const auto epoch = value.find("epoch");
  RSM_CHECK(epoch != value.end() && epoch->is_number_unsigned() &&
                epoch->get<uint64_t>() <= kMostEpochs,
            where, "no \"epoch\" from 0 to ", kMostEpochs,
            "; every line of a log has one");
  return value;
}

}  // namespace rsm
