#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rsm/io/file_handle.h"

namespace rsm {

// The steps by which this program changes what lies on a disk. What a run
// writes goes through them, so that tests can refuse any of them, tear it, or
// let a process end there. They fail as the system's calls do: false (a handle
// that is not open), and errno says why. Outside of them are the lock's text,
// and making and removing whole folders: an empty folder is no loss, and a test
// can let it fail by what it puts in the folder's place.

enum class WriteStep { open, write, sync, rename, link, remove };

/** Hears of every step before it is taken. */
class WriteWatch {
 public:
  /** The step counts as done, though nothing happened. */
  static constexpr int kPass = -1;

  virtual ~WriteWatch() = default;
  /** 0: go on; kPass; or the errno that the step fails with. A write that fails
   * so puts the first `bytes` of its own on the disk, 0 unless changed. */
  virtual int before(WriteStep step, const std::string& path,
                     size_t& bytes) = 0;
};

/** Who is asked from now on, from any thread; null: nobody, as ever but in
 * tests. It must live until somebody else is. */
void watch_writes(WriteWatch* watch);

/** With `flags` of open(2) and O_CLOEXEC; 0666 where it is made. */
FileHandle open_to_write(const std::string& path, int flags);
/** Writes all of the bytes into the file of that path. */
bool write_to(const FileHandle& file, const std::string& path,
              std::string_view bytes);
bool sync_file(const FileHandle& file, const std::string& path);
bool cut_file(const FileHandle& file, const std::string& path, int64_t size);
bool rename_path(const std::string& from, const std::string& to);
bool link_path(const std::string& from, const std::string& to);
/** A file, link or empty folder. */
bool remove_path(const std::string& path);

}  // namespace rsm
