#include "rsm/io/run_log.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/log_lines.h"

namespace rsm {

RunLog::RunLog(std::string path, const std::string& text)
    : path_(std::move(path)) {
  for (const auto& line : log_lines(text)) lines_.emplace_back(line.text);
  if (!path_.empty()) write_file_atomic(path_, text);
}

void RunLog::append(const nlohmann::json& line) {
  const std::string added = json_line(line);
  if (!path_.empty()) append_to_file(path_, added + "\n");
  lines_.push_back(added);
}

void RunLog::amend(const nlohmann::json& line) {
  const auto last = lines_.empty()
                        ? nlohmann::json()
                        : nlohmann::json::parse(lines_.back())["epoch"];
  RSM_CHECK(!lines_.empty() && line.at("epoch") == last, "[log] ", path_,
            ": a line of epoch ", line.at("epoch").dump(),
            " was to replace the last one, of epoch ", last.dump(),
            "; only the last epoch's line can say more");
  auto lines = lines_;
  lines.back() = json_line(line);
  if (!path_.empty()) write_file_atomic(path_, join(lines, "\n") + "\n");
  lines_ = std::move(lines);
}

std::vector<nlohmann::json> read_log(const std::string& path) {
  const std::string text = read_file(path);
  std::vector<nlohmann::json> log;
  for (const auto& line : log_lines(text)) {
    if (line.blank()) continue;
    auto value = parse_log_line(line, path);
    if (value.is_discarded()) break;
    const auto epoch = value["epoch"].get<int64_t>();
    while (!log.empty() && log.back()["epoch"].get<int64_t>() >= epoch) {
      log.pop_back();
    }
    log.push_back(std::move(value));
  }
  return log;
}

}  // namespace rsm
