#include "rsm/io/run_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

[[noreturn]] void fail(const std::string& action, const std::string& path,
                       int code) {
  throw Error(
      cat("[log] cannot ", action, " ", path, ": ", std::strerror(code)));
}

struct LogLine {
  std::string_view text;  ///< without the newline
  int64_t number = 1;     ///< from 1
  bool ended = true;      ///< false where the file stops before a newline
};

std::vector<LogLine> lines_of(std::string_view text) {
  std::vector<LogLine> lines;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const bool ended = end != std::string_view::npos;
    lines.push_back({text.substr(0, end), number, ended});
    text.remove_prefix(ended ? end + 1 : text.size());
  }
  return lines;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r") == std::string_view::npos;
}

/** The line's object; a discarded value for a half-written last line. */
nlohmann::json parsed(const LogLine& line, const std::string& path) {
  const auto where = cat("[log] ", path, ":", line.number, ": ");
  auto value = nlohmann::json::parse(line.text, nullptr, false);
  if (value.is_discarded()) {
    if (!line.ended) return value;
    throw Error(where + "not valid JSON; a log has one JSON object a line");
  }
  RSM_CHECK(value.is_object(), where, "arrived ", value.type_name(),
            "; a log has one JSON object a line");
  const auto epoch = value.find("epoch");
  RSM_CHECK(epoch != value.end() && epoch->is_number_integer(), where,
            "no integer \"epoch\"; every line of a log has one");
  return value;
}

/** 0, or the error's number. */
int write_and_sync(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return ::fsync(descriptor) == 0 ? 0 : errno;
}

}  // namespace

RunLog::RunLog(std::string path) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) {
    write_file_atomic(path_, "");
    return;
  }
  const std::string text = read_file(path_);
  if (text.empty() || text.back() == '\n') return;
  const auto last = lines_of(text).back();
  const auto whole = text.size() - last.text.size();
  if (parsed(last, path_).is_discarded()) {
    write_file_atomic(path_, std::string_view(text).substr(0, whole));
  } else {
    write_file_atomic(path_, text + "\n");
  }
}

void RunLog::append(const nlohmann::json& line) {
  const std::string bytes =
      line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
      "\n";
  const int descriptor =
      ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail("write", path_, errno);
  struct stat before = {};
  int code = ::fstat(descriptor, &before) == 0 ? 0 : errno;
  if (code == 0) {
    code = write_and_sync(descriptor, bytes);
    if (code != 0 && ::ftruncate(descriptor, before.st_size) != 0) {
      ::close(descriptor);
      fail("take back a part of a line of", path_, code);
    }
  }
  ::close(descriptor);
  if (code != 0) fail("write", path_, code);
}

void RunLog::truncate_after(int64_t epoch) {
  const std::string text = read_file(path_);
  std::string kept;
  for (const auto& line : lines_of(text)) {
    if (is_blank(line.text)) continue;
    const auto value = parsed(line, path_);
    if (value.is_discarded()) break;
    if (value["epoch"].get<int64_t>() > epoch) continue;
    kept += line.text;
    kept += '\n';
  }
  if (kept != text) write_file_atomic(path_, kept);
}

std::vector<nlohmann::json> read_log(const std::string& path) {
  const std::string text = read_file(path);
  std::vector<nlohmann::json> log;
  for (const auto& line : lines_of(text)) {
    if (is_blank(line.text)) continue;
    auto value = parsed(line, path);
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
