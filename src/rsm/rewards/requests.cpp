#include "rsm/rewards/requests.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"

namespace rsm {

using nlohmann::json;

json told_of(const std::string& who, const Prompts& prompts,
             const PictureRange& range) {
  json texts = json::array(), metadata = json::array();
  bool any = false;
  for (int64_t i = 0; i < range.count; ++i) {
    const Prompt& prompt = prompts[range.first + i];
    texts.push_back(prompt.text);
    const bool has = !prompt.metadata.empty();
    metadata.push_back(
        has ? parse_json(cat("[", who, "] metadata"), prompt.metadata)
            : json());
    any = any || has;
  }
  json told = {{"prompts", std::move(texts)}};
  if (any) told["metadata"] = std::move(metadata);
  return told;
}

}  // namespace rsm
