#include "rsm/models/fixed_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using nlohmann::json;

bool is_same(const json& given, const json& needed) {
  if (given.is_array()) {
    return !given.empty() &&
           std::all_of(given.begin(), given.end(),
                       [&](const json& one) { return one == needed; });
  }
  return given == needed || (given.is_null() && needed == false);
}

}  // namespace

void check_fixed_fields(const JsonFields& fields, json known, const json& fixed,
                        const std::string& like) {
  known.update(fixed);
  fields.check_keys(known);
  for (const auto& [key, needed] : fixed.items()) {
    fields.only(key, !fields.has(key) || is_same(fields.value(key), needed),
                cat(needed.dump(), ", as in ", like, ","));
  }
}

}  // namespace rsm
