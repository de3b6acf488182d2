#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "rsm/base/state_dict.h"

namespace rsm {

struct SafetensorsFile {
  StateDict tensors;  ///< contiguous, on the CPU, owning their memory
  std::map<std::string, std::string> metadata;
};

/** Reads a .safetensors file: 8 bytes header length, JSON header, raw
 * little-endian data. Types F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL. The file
 * is not trusted: sizes are checked before memory is asked for. Throws
 * rsm::Error naming the file and, where there is one, the tensor.
 * Source: the format description of the safetensors project. */
SafetensorsFile read_safetensors(const std::string& path);

/** The metadata alone; tensors are neither read nor checked. Throws rsm::Error
 * as read_safetensors. */
std::map<std::string, std::string> read_safetensors_metadata(
    const std::string& path);

/** The same of the tensors whose names are in `wanted`. */
SafetensorsFile read_safetensors(const std::string& path,
                                 const std::set<std::string>& wanted);

using TensorShapes = std::map<std::string, std::vector<int64_t>>;

/** The shapes that a file's header names, without reading its data. */
TensorShapes read_shapes(const std::string& path);

/** Writes such a file, atomically. Equal contents give equal bytes: tensors
 * stand by type (wide ones first, so that all are aligned), then by name.
 * Views are written as what they show. Throws rsm::Error naming the file and
 * the tensor: type not in the list above, undefined, sparse, name not UTF-8. */
void write_safetensors(const std::string& path, const StateDict& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace rsm
