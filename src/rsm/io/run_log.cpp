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
#include "rsm/io/log_lines.h"

namespace rsm {
namespace {

[[noreturn]] void fail(const std::string& action, const std::string& path,
                       int code) {
  throw Error(
      cat("[log] cannot ", action, " ", path, ": ", std::strerror(code)));
}

/** A line without its newline. */
std::string text_of(const nlohmann::json& line) {
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
  if (!is_there(path_)) {
    write_file_atomic(path_, "");
    return;
  }
  const std::string text = read_file(path_);
  std::vector<Line> whole;
  for (const auto& line : log_lines(text)) {
    if (line.blank()) continue;
    const auto value = parse_log_line(line, path_);
    if (value.is_discarded()) break;
    whole.push_back({value["epoch"].get<int64_t>(), std::string(line.text)});
  }
  const bool ends = text.empty() || text.back() == '\n';
  if (ends && whole.size() == log_lines(text).size()) {
    lines_ = std::move(whole);
  } else {
    replace(std::move(whole));
  }
}

void RunLog::append(const nlohmann::json& line) {
  Line added = {line.at("epoch").get<int64_t>(), text_of(line)};
  const int descriptor =
      ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail("write", path_, errno);
  struct stat before = {};
  int code = ::fstat(descriptor, &before) == 0 ? 0 : errno;
  if (code == 0) {
    code = write_and_sync(descriptor, added.text + "\n");
    if (code != 0 && ::ftruncate(descriptor, before.st_size) != 0) {
      ::close(descriptor);
      fail("take back a part of a line of", path_, code);
    }
  }
  ::close(descriptor);
  if (code != 0) fail("write", path_, code);
  lines_.push_back(std::move(added));
}

void RunLog::amend(const nlohmann::json& line) {
  const auto epoch = line.at("epoch").get<int64_t>();
  RSM_CHECK(!lines_.empty() && lines_.back().epoch == epoch, "[log] ", path_,
            ": a line of epoch ", epoch, " was to replace the last one, of ",
            lines_.empty() ? "none" : cat("epoch ", lines_.back().epoch),
            "; only the last epoch's line can say more");
  auto lines = lines_;
  lines.back().text = text_of(line);
  replace(std::move(lines));
}

void RunLog::truncate_after(int64_t epoch) {
  auto lines = lines_;
  const auto dropped = std::erase_if(
      lines, [epoch](const Line& line) { return line.epoch > epoch; });
  if (dropped > 0) replace(std::move(lines));
}

void RunLog::replace(std::vector<Line> lines) {
  std::string text;
  for (const auto& line : lines) text += line.text + "\n";
  write_file_atomic(path_, text);
  lines_ = std::move(lines);
}

std::vector<std::string> RunLog::lines() const {
  std::vector<std::string> texts;
  for (const auto& line : lines_) texts.push_back(line.text);
  return texts;
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
