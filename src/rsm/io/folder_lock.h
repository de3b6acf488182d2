#pragma once

#include <string>

#include "rsm/base/progress.h"
#include "rsm/io/file_handle.h"

namespace rsm {

/** Keeps a folder to one process: an flock on `lock` in it, whose text names
 * the host, the process and since when. The lock is gone with its process,
 * however that ends. */
class FolderLock {
 public:
  /** Makes the folder where it is missing. Throws rsm::Error, beginning with
   * `who`, where another process (or another lock of this one) has it, and
   * names that. A file system without locks is warned of. */
  FolderLock(const std::string& folder, const std::string& who,
             Progress& progress);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  /** Removes the file, and a folder that it made and nobody used. */
  ~FolderLock();

  /** Whether nobody else has the folder; false where nobody can tell. */
  bool held() const { return held_; }

 private:
  /** Opens the file and locks it. False where it was removed meanwhile. */
  bool try_once(const std::string& who, Progress& progress);
  void sign() const;

  std::string folder_;
  std::string path_;
  bool made_folder_ = false;
  FileHandle file_;
  bool held_ = false;
};

}  // namespace rsm
