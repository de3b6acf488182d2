#include "rsm/text/added_tokens.h"

#include <nlohmann/json.hpp>

namespace rsm {

using nlohmann::json;

std::string token_content(const json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return "";
  const json content = token.value("content", json());
  return content.is_string() ? content.get<std::string>() : "";
}

json decoder_tokens(const JsonFields& config) {
  const auto decoder = config.object("added_tokens_decoder");
  json added = json::array();
  for (const auto& id : decoder.keys()) {
    const json& token = decoder.value(id);
    const bool digits = !id.empty() && id.size() < 10 &&
                        id.find_first_not_of("0123456789") == std::string::npos;
    decoder.check(id, digits && token.is_object(),
                  "an id with an object with \"content\"");
    added.push_back(token);
    added.back()["id"] = std::stoll(id);
  }
  return added;
}

}  // namespace rsm
