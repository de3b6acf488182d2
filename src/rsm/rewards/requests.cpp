#include "rsm/rewards/requests.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"

namespace rsm {

using nlohmann::json;

json told_of(const std::string& who, const Prompts& prompts,
             const PictureRange& range, const std::vector<int64_t>& group) {
  json texts = json::array(), metadata = json::array(), groups = json::array();
  bool any = false;
  int64_t number = 0;
  for (int64_t i = 0; i < range.count; ++i) {
    const Prompt& prompt = prompts[range.first + i];
    texts.push_back(prompt.text);
    const bool has = !prompt.metadata.empty();
    metadata.push_back(
        has ? parse_json(cat("[", who, "] metadata"), prompt.metadata)
            : json());
    any = any || has;
    if (group.empty()) continue;
    if (i > 0 && group[range.first + i] != group[range.first + i - 1]) ++number;
    groups.push_back(number);
  }
  json told = {{"prompts", std::move(texts)}};
  if (any) told["metadata"] = std::move(metadata);
  if (!group.empty()) told["groups"] = std::move(groups);
  return told;
}

}  // namespace rsm
