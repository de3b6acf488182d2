#include "rsm/io/write_steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace rsm {
namespace {

std::atomic<WriteWatch*> watching = nullptr;

/** What is answered before a step: 0, WriteWatch::kPass or an errno. */
int asked(WriteStep step, const std::string& path, size_t& bytes) {
  auto* watch = watching.load();
  return watch == nullptr ? 0 : watch->before(step, path, bytes);
}

/** Takes a step unless it is refused or passed over. */
template <typename Take>
bool taken(WriteStep step, const std::string& path, const Take& take) {
  size_t none = 0;
  const int answer = asked(step, path, none);
  if (answer == WriteWatch::kPass) return true;
  if (answer == 0) return take() == 0;
  errno = answer;
  return false;
}

}  // namespace

void watch_writes(WriteWatch* watch) { watching = watch; }

FileHandle open_to_write(const std::string& path, int flags) {
  size_t none = 0;
  if (const int answer = asked(WriteStep::open, path, none); answer > 0) {
    errno = answer;
    return FileHandle();
  }
  return FileHandle(::open(path.c_str(), flags | O_CLOEXEC, 0666));
}

bool write_to(const FileHandle& file, const std::string& path,
              std::string_view bytes) {
  size_t torn = 0;
  const int answer = asked(WriteStep::write, path, torn);
  if (answer == WriteWatch::kPass) return true;
  if (answer == 0) return write_all(file, bytes);
  write_all(file, bytes.substr(0, torn));
  errno = answer;
  return false;
}

bool sync_file(const FileHandle& file, const std::string& path) {
  return taken(WriteStep::sync, path, [&] { return ::fsync(file.number()); });
}

bool cut_file(const FileHandle& file, const std::string& path, int64_t size) {
  return taken(WriteStep::remove, path,
               [&] { return ::ftruncate(file.number(), size); });
}

bool rename_path(const std::string& from, const std::string& to) {
  return taken(WriteStep::rename, to,
               [&] { return ::rename(from.c_str(), to.c_str()); });
}

bool link_path(const std::string& from, const std::string& to) {
  return taken(WriteStep::link, to,
               [&] { return ::link(from.c_str(), to.c_str()); });
}

bool remove_path(const std::string& path) {
  return taken(WriteStep::remove, path, [&] { return ::remove(path.c_str()); });
}

}  // namespace rsm
