#include "rsm/io/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "rsm/base/error.h"
#include "rsm/io/file_handle.h"

namespace rsm {

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const FileHandle file = open_to_read(path, size_);
  if (size_ == 0) return;  // nothing, which cannot be mapped
  void* start =
      ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.number(), 0);
  RSM_CHECK(start != MAP_FAILED, "[files] cannot map ", path, ": ",
            std::strerror(errno));
  data_ = static_cast<char*>(start);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace rsm
