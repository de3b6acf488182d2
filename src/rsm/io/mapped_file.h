#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rsm {

/** The bytes of a regular file, which come from the disk when they are looked
 * at and take no memory that the system could not have back: a private
 * mapping, only to be read.
 *
 * The bytes stay those of the file that was opened where others replace it by
 * renaming, as this program and downloads do, or remove it. A process that
 * shortens the very file meanwhile ends this one by SIGBUS. */
class MappedFile {
 public:
  /** Throws rsm::Error naming the file where it cannot be read. */
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::string_view bytes() const { return {data_, size_}; }

 private:
  std::string path_;
  uint64_t size_ = 0;
  char* data_ = nullptr;
};

}  // namespace rsm
