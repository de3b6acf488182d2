#include "rsm/io/file_handle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "rsm/base/error.h"

namespace rsm {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

}  // namespace

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this != &other) {
    close();
    number_ = other.release();
  }
  return *this;
}

bool FileHandle::close() { return !is_open() || ::close(release()) == 0; }

int FileHandle::release() { return std::exchange(number_, -1); }

FileHandle open_to_read(const std::string& path, uint64_t& size) {
  // Opening a pipe without this flag would wait for a writer.
  FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  RSM_CHECK(file.is_open() && ::fstat(file.number(), &status) == 0,
            "[files] cannot read ", path, ": ", std::strerror(errno));
  const bool piped = S_ISFIFO(status.st_mode) && path.starts_with("/dev/");
  RSM_CHECK(S_ISREG(status.st_mode) || piped, "[files] ", path, " is ",
            kind_of(status.st_mode), "; a regular file is needed");
  if (piped) ::fcntl(file.number(), F_SETFL, 0);  // its writer may be slow
  size = piped ? 0 : static_cast<uint64_t>(status.st_size);
  return file;
}

bool write_all(const FileHandle& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.number(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace rsm
