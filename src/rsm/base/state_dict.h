#pragma once

#include <torch/types.h>

#include <map>
#include <string>

namespace rsm {

/** Tensors by name. */
using StateDict = std::map<std::string, torch::Tensor>;

/** Entries of `all` whose name begins with `prefix`, without it. */
StateDict with_prefix(const StateDict& all, const std::string& prefix);

/** Adds `part` to `all`, each name behind `prefix`. */
void add_with_prefix(StateDict& all, const std::string& prefix,
                     const StateDict& part);

}  // namespace rsm
