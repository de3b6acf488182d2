#pragma once

#include <cstddef>
#include <string>

#include "rsm/io/config_node.h"

namespace rsm {

/** Bytes of a config. */
inline constexpr size_t kMaxConfigBytes = 1 << 20;

/** Levels of a config: what walks through them calls itself. */
inline constexpr size_t kConfigDepth = 64;

/** Why a text does not become a config's value. */
struct NotConfig {
  std::string where;  ///< "file.yaml:12" or "--set train.lr"
  std::string message;
};

/** Replaces what stands at `node` by the one YAML value in `text`. Takes time
 * linear in the text: at most kMaxConfigBytes, 10000 values (aliases multiply)
 * and kConfigDepth levels. Throws NotConfig; then `node` holds a part. `origin`
 * is what errors call the text; `lines`: whether they count lines. */
void fill_from_yaml(ConfigNode& node, const std::string& text,
                    const std::string& origin, bool lines);

}  // namespace rsm
