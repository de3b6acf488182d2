#pragma once

#include <string>

#include "rsm/io/safetensors.h"

namespace rsm {

/** The weights of a part of a diffusers folder, in one file or several. In
 * this order: `<stem>.safetensors.index.json`, whose weight_map places each
 * tensor in a shard beside it; `<stem>.safetensors`; the files of a variant,
 * such as `<stem>.fp16.safetensors` or `<stem>.safetensors.index.fp16.json`,
 * where there is just one.
 *
 * Tensors are views of their files: see view_safetensors.
 *
 * All functions throw rsm::Error as view_safetensors does, where the index is
 * malformed or names what a shard doesn't hold, where a link leads nowhere,
 * and, saying what lies there instead, where there are no such weights. */
SafetensorsFile view_sharded(const std::string& folder,
                             const std::string& stem);

/** The shapes of the same tensors, without reading their data. */
TensorShapes read_sharded_shapes(const std::string& folder,
                                 const std::string& stem);

}  // namespace rsm
