#pragma once

#include <unistd.h>

#include <utility>

namespace rsm {

/** An open file, pipe or socket, closed at the end. */
class FileHandle {
 public:
  explicit FileHandle(int number = -1) : number_(number) {}
  FileHandle(FileHandle&& other) noexcept : number_(other.release()) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileHandle() { close(); }

  int number() const { return number_; }  ///< -1: none
  bool is_open() const { return number_ >= 0; }
  void close() {
    if (is_open()) ::close(release());
  }
  /** Its number, to be closed by somebody else. */
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

}  // namespace rsm
