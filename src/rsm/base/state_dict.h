#pragma once

#include <torch/types.h>

#include <map>
#include <string>

namespace rsm {

/** Tensors by name. */
using StateDict = std::map<std::string, torch::Tensor>;

}  // namespace rsm
