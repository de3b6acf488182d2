#include "rsm/io/json_fields.h"

#include <cmath>
#include <limits>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

constexpr int64_t kMostCount = int64_t{1} << 53;
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

}  // namespace

JsonFields::JsonFields(nlohmann::json object, std::string where,
                       std::string prefix)
    : object_(std::move(object)),
      where_(std::move(where)),
      prefix_(std::move(prefix)) {
  const std::string name =
      prefix_.empty() ? "it" : prefix_.substr(0, prefix_.size() - 1);
  RSM_CHECK(object_.is_object(), where_, ": ", name, " is JSON of type ",
            object_.type_name(), "; an object is needed");
}

int64_t JsonFields::count(const std::string& key) const {
  const auto& found = value(key);
  const bool whole = found.is_number_integer() &&
                     (!found.is_number_unsigned() ||
                      found.get<uint64_t>() <= uint64_t{kMostCount}) &&
                     found.get<int64_t>() >= 0;
  if (!whole) refuse(key, "a whole number from 0 on");
  return found.get<int64_t>();
}

double JsonFields::amount(const std::string& key) const {
  const auto& found = value(key);
  const double number = found.is_number() ? found.get<double>() : -1;
  if (!std::isfinite(number) || number < 0) {
    refuse(key, "a number from 0 on");
  }
  return number;
}

std::string JsonFields::text(const std::string& key) const {
  const auto& found = value(key);
  if (!found.is_string()) refuse(key, "a text");
  return found.get<std::string>();
}

std::vector<std::string> JsonFields::texts(const std::string& key) const {
  const auto& found = value(key);
  std::vector<std::string> out;
  if (!found.is_array()) refuse(key, "a list of texts");
  for (const auto& item : found) {
    if (!item.is_string()) refuse(key, "a list of texts");
    out.push_back(item.get<std::string>());
  }
  return out;
}

uint64_t JsonFields::seed(const std::string& key) const {
  if (!value(key).is_number_unsigned()) refuse(key, "a whole number from 0 on");
  return value(key).get<uint64_t>();
}

bool JsonFields::truth(const std::string& key) const {
  if (!value(key).is_boolean()) refuse(key, "true or false");
  return value(key).get<bool>();
}

double JsonFields::number(const std::string& key) const {
  if (!has(key) || value(key).is_null()) return kMissing;
  if (!value(key).is_number()) refuse(key, "a number or null");
  return value(key).get<double>();
}

std::vector<double> JsonFields::numbers(const std::string& key) const {
  const auto& found = value(key);
  std::vector<double> out;
  if (!found.is_array()) refuse(key, "a list of numbers");
  for (const auto& item : found) {
    if (!item.is_number() && !item.is_null()) refuse(key, "a list of numbers");
    out.push_back(item.is_null() ? kMissing : item.get<double>());
  }
  return out;
}

JsonFields JsonFields::object(const std::string& key) const {
  return JsonFields(value(key), where_, prefix_ + key + ".");
}

const nlohmann::json& JsonFields::value(const std::string& key) const {
  const auto found = object_.find(key);
  RSM_CHECK(found != object_.end(), where_, ": ", prefix_, key, " is missing");
  return *found;
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, item] : object_.items()) out.push_back(key);
  return out;
}

void JsonFields::refuse(const std::string& key,
                        const std::string& needed) const {
  const auto& found = value(key);
  // What is long tells no more than its type.
  const std::string shown =
      found.is_structured()
          ? std::string(found.type_name())
          : printable(found.dump(-1, ' ', false,
                                 nlohmann::json::error_handler_t::replace),
                      60);
  throw Error(cat(where_, ": ", prefix_, key, " is ", shown, "; ", needed,
                  " is needed"));
}

}  // namespace rsm
