#include "rsm/io/json_options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr size_t kShown = 80;  ///< bytes of a value in an error

}  // namespace

std::string shown(const json& value) {
  return printable(value.dump(-1, ' ', false, json::error_handler_t::replace),
                   kShown);
}

std::string shown_text(const std::string& text) {
  return printable(text, kShown);
}

json read_python_json(const std::string& path) {
  return parse_json("[json] " + path, quote_python_numbers(read_file(path)));
}

bool is_integer(const json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (value.is_number_unsigned() && value.get<uint64_t>() > kMost) return false;
  const auto number = value.get<int64_t>();
  return number >= low && number <= high;
}

JsonOptions::JsonOptions(const json& object, std::string where, Null null)
    : object_(object), where_(std::move(where)), null_(null) {
  RSM_CHECK(object.is_object(), where_, " holds: ", object.type_name(),
            "; an object is needed");
}

bool JsonOptions::has(const char* key) const {
  const auto found = object_.find(key);
  return found != object_.end() &&
         !(found->is_null() && null_ == Null::is_missing);
}

json JsonOptions::value(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() ? json() : *found;
}

void JsonOptions::check(const char* key, bool right,
                        const std::string& needed) const {
  RSM_CHECK(right, where_, ": ", key, " is ", shown(value(key)), "; ", needed,
            " is needed");
}

void JsonOptions::integer(const char* key, int64_t& value, int64_t low,
                          int64_t high) const {
  if (!has(key)) return;
  const json& given = object_[key];
  check(key, is_integer(given, low, high),
        cat("an integer of at least ", low, " and at most ", high));
  value = given.get<int64_t>();
}

void JsonOptions::number_above(const char* key, double& value, double low,
                               double high) const {
  if (!has(key)) return;
  const json& given = object_[key];
  const bool right = given.is_number() && std::isfinite(given.get<double>()) &&
                     given.get<double>() > low && given.get<double>() <= high;
  check(key, right, cat("a number above ", low, " and at most ", high));
  value = given.get<double>();
}

void JsonOptions::truth(const char* key, bool& value) const {
  if (!has(key)) return;
  check(key, object_[key].is_boolean(), "true or false");
  value = object_[key].get<bool>();
}

void JsonOptions::text(const char* key, std::string& value) const {
  if (!has(key)) return;
  check(key, object_[key].is_string(), "a text");
  value = object_[key].get<std::string>();
}

void JsonOptions::integers(const char* key, std::vector<int64_t>& value,
                           int64_t low, int64_t high, size_t most) const {
  if (!has(key)) return;
  const json& given = object_[key];
  const auto fits = [&](const json& item) {
    return is_integer(item, low, high);
  };
  check(key,
        given.is_array() && given.size() <= most &&
            std::all_of(given.begin(), given.end(), fits),
        cat("a list of integers of at least ", low, " and at most ", high,
            ", no more than ", most, " of them,"));
  value = given.get<std::vector<int64_t>>();
}

void JsonOptions::check_keys(const std::vector<std::string>& known) const {
  static const std::vector<std::string> idle = {"dtype", "torch_dtype",
                                                "transformers_version"};
  const auto among = [](const auto& words, const std::string& key) {
    return std::find(words.begin(), words.end(), key) != words.end();
  };
  for (const auto& item : object_.items()) {
    const std::string& key = item.key();
    RSM_CHECK(key.starts_with("_") || among(idle, key) || among(known, key),
              where_, ": ", unknown_word(shown_text(key), known));
  }
}

}  // namespace rsm
