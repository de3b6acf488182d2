#include "rsm/io/json_fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using nlohmann::json;

bool is_finite(const json& value) {
  return value.is_number() && std::isfinite(value.get<double>());
}

template <typename Fits>
bool is_list_of(const json& value, const Fits& fits) {
  return value.is_array() && std::all_of(value.begin(), value.end(), fits);
}

}  // namespace

std::string shown_json(const json& value) { return shown(json_line(value)); }

json read_python_json(const std::string& path) {
  return parse_json("[json] " + path,
                    quote_python_numbers(read_file(path, kConfigBytes)));
}

bool is_integer(const json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (value.is_number_unsigned() && value.get<uint64_t>() > kMost) return false;
  const auto number = value.get<int64_t>();
  return number >= low && number <= high;
}

JsonFields::JsonFields(const json& object, std::string where, Null null)
    : object_(object), where_(std::move(where)), null_(null) {
  RSM_CHECK(object.is_object(), where_, " holds: ", object.type_name(),
            "; an object is needed");
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, item] : object_.items()) out.push_back(key);
  return out;
}

bool JsonFields::has(const std::string& key) const {
  const auto found = object_.find(key);
  return found != object_.end() &&
         !(found->is_null() && null_ == Null::is_missing);
}

const json& JsonFields::value(const std::string& key) const {
  static const json none;
  const auto found = object_.find(key);
  return found == object_.end() ? none : *found;
}

void JsonFields::integer(const std::string& key, int64_t& value, int64_t low,
                         int64_t high) const {
  if (has(key)) value = integer(key, low, high);
}

int64_t JsonFields::integer(const std::string& key, int64_t low,
                            int64_t high) const {
  check(key, is_integer(value(key), low, high),
        cat("an integer of at least ", low, " and at most ", high));
  return value(key).get<int64_t>();
}

void JsonFields::integers(const std::string& key, std::vector<int64_t>& value,
                          int64_t low, int64_t high, size_t most) const {
  if (!has(key)) return;
  const json& given = object_[key];
  const auto fits = [&](const json& one) { return is_integer(one, low, high); };
  check(key, is_list_of(given, fits) && given.size() <= most,
        cat("a list of integers of at least ", low, " and at most ", high,
            ", no more than ", most, " of them,"));
  value = given.get<std::vector<int64_t>>();
}

std::vector<int64_t> JsonFields::integers(const std::string& key,
                                          int64_t low) const {
  const auto fits = [&](const json& one) {
    return is_integer(one, low, kMostCount);
  };
  check(key, is_list_of(value(key), fits),
        cat("a list of integers of at least ", low));
  return value(key).get<std::vector<int64_t>>();
}

void JsonFields::number_above(const std::string& key, double& value, double low,
                              double high) const {
  if (!has(key)) return;
  const json& given = object_[key];
  check(key,
        is_finite(given) && given.get<double>() > low &&
            given.get<double>() <= high,
        cat("a number above ", low, " and at most ", high));
  value = given.get<double>();
}

double JsonFields::amount(const std::string& key) const {
  check(key, is_finite(value(key)) && value(key).get<double>() >= 0,
        "a number from 0 on");
  return value(key).get<double>();
}

uint64_t JsonFields::seed(const std::string& key) const {
  check(key, value(key).is_number_unsigned(), "an integer from 0 on");
  return value(key).get<uint64_t>();
}

double JsonFields::number(const std::string& key) const {
  const json& given = value(key);
  if (given.is_null()) return std::nan("");
  check(key, given.is_number(), "a number or null");
  return given.get<double>();
}

std::vector<double> JsonFields::numbers(const std::string& key) const {
  const json& given = value(key);
  const auto fits = [](const json& one) {
    return one.is_number() || one.is_null();
  };
  check(key, is_list_of(given, fits), "a list of numbers or null");
  std::vector<double> out;
  for (const auto& one : given) {
    out.push_back(one.is_null() ? std::nan("") : one.get<double>());
  }
  return out;
}

void JsonFields::truth(const std::string& key, bool& value) const {
  if (has(key)) value = truth(key);
}

bool JsonFields::truth(const std::string& key) const {
  check(key, value(key).is_boolean(), "true or false");
  return value(key).get<bool>();
}

void JsonFields::text(const std::string& key, std::string& value) const {
  if (has(key)) value = text(key);
}

std::string JsonFields::text(const std::string& key) const {
  check(key, value(key).is_string(), "a text");
  return value(key).get<std::string>();
}

std::vector<std::string> JsonFields::texts(const std::string& key) const {
  const auto fits = [](const json& one) { return one.is_string(); };
  check(key, is_list_of(value(key), fits), "a list of texts");
  return value(key).get<std::vector<std::string>>();
}

void JsonFields::choice(const std::string& key, std::string& value,
                        const std::vector<std::string>& words) const {
  text(key, value);
  RSM_CHECK(std::find(words.begin(), words.end(), value) != words.end(), where_,
            ": ", prefix_, key, ": ", unknown_word(shown(value), words));
}

JsonFields JsonFields::object(const std::string& key) const {
  check(key, value(key).is_object(), "an object");
  JsonFields out(value(key), where_, null_);
  out.prefix_ = prefix_ + shown(key) + ".";
  return out;
}

void JsonFields::refuse(const std::string& key,
                        const std::string& instead) const {
  const auto found = object_.find(key);
  throw Error(cat(where_, ": ", prefix_, shown(key), " is ",
                  found == object_.end() ? "missing" : shown_json(*found), "; ",
                  instead));
}

void JsonFields::check(const std::string& key, bool right,
                       const std::string& needed) const {
  if (!right) refuse(key, needed + " is needed");
}

void JsonFields::only(const std::string& key, bool right,
                      const std::string& allowed) const {
  if (!right) refuse(key, cat("only ", allowed, " is supported"));
}

void JsonFields::check_keys(const json& known) const {
  std::vector<std::string> words;
  for (const auto& [key, value] : known.items()) {
    if (!key.starts_with("_")) words.push_back(key);
  }
  for (const auto& key : keys()) {
    const bool idle = key.starts_with("_") || key == "dtype" ||
                      key == "torch_dtype" || key == "transformers_version";
    RSM_CHECK(idle || known.contains(key), where_, ": ",
              unknown_word(shown(key), words));
  }
}

}  // namespace rsm
