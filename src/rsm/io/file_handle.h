#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rsm {

/** An open file, pipe or socket, closed at the end. */
class FileHandle {
 public:
  explicit FileHandle(int number = -1) : number_(number) {}
  FileHandle(FileHandle&& other) noexcept : number_(other.release()) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle() { close(); }

  int number() const { return number_; }  ///< -1: none
  bool is_open() const { return number_ >= 0; }
  /** Whether that went well; errno says why not. */
  bool close();
  /** Its number, to be closed by somebody else. */
  int release();

 private:
  int number_;
};

/** Opens a regular file to read, and gives its size in bytes. A pipe that the
 * shell has opened (/dev/stdin, /dev/fd/63) is taken too, its size being 0.
 * Throws rsm::Error naming the file where there is none and where it is of
 * another kind: a device may have no end, a pipe no writer. */
FileHandle open_to_read(const std::string& path, uint64_t& size);

/** Writes all of the bytes; false where it cannot, as errno says. */
bool write_all(const FileHandle& file, std::string_view bytes);

}  // namespace rsm
