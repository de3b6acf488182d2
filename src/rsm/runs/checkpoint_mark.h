#pragma once

#include <string>

#include "rsm/base/error.h"
#include "rsm/runs/checkpoint.h"

namespace rsm {

/** The text of a checkpoint's mark: all but its tensors, their file's SHA-256
 * and the SHA-256 of the rest of the mark. */
std::string mark_text(const Checkpoint& checkpoint,
                      const std::string& tensors_checksum);

/** Reads such a file; the tensors stay empty. Throws rsm::Error naming file and
 * key where its checksum is wrong or a field is missing or no value of its
 * kind. */
Checkpoint read_mark(const std::string& path, std::string& tensors_checksum);

/** Thrown by read_mark for marks of another version, which are not damaged. */
class OtherVersion : public Error {
 public:
  using Error::Error;
};

}  // namespace rsm
