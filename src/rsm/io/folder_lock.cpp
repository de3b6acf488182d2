#include "rsm/io/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string_view>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/printable.h"
#include "rsm/io/write_steps.h"

namespace rsm {
namespace {

constexpr size_t kMostText = 300;  // bytes, of what the owner wrote

/** "process 12 on host since 2026-01-31 12:00:00 UTC" */
std::string signature() {
  std::array<char, 256> host = {};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {"this host"};
  std::array<char, 64> time = {};
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  ::gmtime_r(&now, &utc);
  std::strftime(time.data(), time.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return cat("process ", ::getpid(), " on ", host.data(), " since ",
             time.data());
}

std::string owner_of(int descriptor) {
  std::array<char, kMostText> text = {};
  const ssize_t count = ::pread(descriptor, text.data(), text.size(), 0);
  std::string_view owner(text.data(), count > 0 ? count : 0);
  owner = owner.substr(0, owner.find('\n'));
  return owner.empty() ? "another process" : printable(owner, kMostText);
}

}  // namespace

FolderLock::FolderLock(const std::string& folder, const std::string& who,
                       Progress& progress)
    : folder_(folder), path_(folder + "/lock") {
  made_folder_ = !is_there(folder);
  make_folders(folder);
  while (!try_once(who, progress)) {
  }
}

FolderLock::~FolderLock() {
  if (held_) remove_path(path_);
  file_.close();
  if (made_folder_) remove_path(folder_);
}

bool FolderLock::try_once(const std::string& who, Progress& progress) {
  file_ = open_to_write(path_, O_RDWR | O_CREAT);
  RSM_CHECK(file_.is_open(), who, " cannot write ", path_, ": ",
            std::strerror(errno), "; the folder must be writable");
  int code = 0;
  do {
    code = ::flock(file_.number(), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  } while (code == EINTR);
  if (code == EWOULDBLOCK) {
    throw Error(cat(who, " ", folder_, " is in use by ",
                    owner_of(file_.number()),
                    "; wait for it to end, stop it, or take another folder"));
  }
  if (code != 0) {
    progress.say(cat("warning: ", path_, " cannot be locked (",
                     std::strerror(code),
                     "); see to it that no other process uses the folder"));
    return true;
  }
  // Whoever had it before may have removed the file since it was opened.
  struct stat opened = {}, present = {};
  if (::fstat(file_.number(), &opened) != 0 ||
      ::stat(path_.c_str(), &present) != 0 || opened.st_ino != present.st_ino ||
      opened.st_dev != present.st_dev) {
    return false;
  }
  held_ = true;
  sign();
  return true;
}

/** Only for people: a full disk does not undo the lock. */
void FolderLock::sign() const {
  const std::string text = signature() + "\n";
  if (::ftruncate(file_.number(), 0) == 0 &&
      ::pwrite(file_.number(), text.data(), text.size(), 0) < 0) {
    return;
  }
}

}  // namespace rsm
