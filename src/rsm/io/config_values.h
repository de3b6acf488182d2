#pragma once

#include <map>
#include <string>

#include "rsm/io/config_node.h"

namespace rsm {

/** A config's values by key ("train.lr"): scalars as written, lists as
 * "[a, b]", maps within lists as "{name: x, weight: 1}". */
std::map<std::string, std::string> config_values(const ConfigNode& root);

}  // namespace rsm
