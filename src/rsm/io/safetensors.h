#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/state_dict.h"
#include "rsm/io/mapped_file.h"

namespace rsm {

struct SafetensorsFile {
  StateDict tensors;  ///< contiguous, on the CPU
  std::map<std::string, std::string> metadata;
};

/** Reads a .safetensors file: 8 bytes header length, JSON header, raw
 * little-endian data. Types F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL. The file
 * is not trusted: sizes are checked before memory is asked for. Throws
 * rsm::Error naming the file and, where there is one, the tensor.
 * Source: the format description of the safetensors project. */
SafetensorsFile read_safetensors(const std::string& path);

/** The same without reading the data: its tensors are views of the file, which
 * they keep mapped, to be copied to where they are needed. They must not be
 * written to, and begin where the file has them, so that computing with them
 * may give other last bits. */
SafetensorsFile view_safetensors(const std::string& path);
SafetensorsFile view_safetensors(std::shared_ptr<const MappedFile> file);

/** Tensors in memory of their own. */
StateDict copied(const StateDict& tensors);

using TensorShapes = std::map<std::string, std::vector<int64_t>>;

/** The shapes that a file's header names. */
TensorShapes read_shapes(const std::string& path);

/** Writes such a file, atomically, and returns its SHA-256. Equal contents give
 * equal bytes: tensors stand by type (wide ones first, so that all are
 * aligned), then by name. Views are written as what they show; one tensor at a
 * time is brought to the CPU. Throws rsm::Error naming the file and the tensor:
 * type not in the list above, undefined, sparse, name not UTF-8. */
std::string write_safetensors(
    const std::string& path, const StateDict& tensors,
    const std::map<std::string, std::string>& metadata = {});

}  // namespace rsm
