#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "rsm/base/error.h"

/** Files of others, whatever stands there; no part of the library includes
 * this. */
namespace rsm {

/** Values that stand where others are expected. */
inline nlohmann::json strange_value(std::mt19937_64& random) {
  static const std::vector<nlohmann::json> values = {
      nullptr,
      true,
      0,
      -1,
      7,
      2.5,
      1e300,
      2'000'000'000,
      std::numeric_limits<int64_t>::min(),
      std::numeric_limits<uint64_t>::max(),
      "",
      "text",
      "\xf0\x9f\x98\x80",
      nlohmann::json::array(),
      nlohmann::json::array({1, "a", nullptr}),
      nlohmann::json::object(),
      {{"content", 3}, {"id", -1}}};
  return values[random() % values.size()];
}

/** Changes one value, key or place in a JSON value, however deep. */
inline void mutate(nlohmann::json& value, std::mt19937_64& random) {
  if (value.is_structured() && !value.empty() && random() % 4 != 0) {
    auto at = value.begin();
    std::advance(at, random() % std::min<size_t>(value.size(), 50));
    if (random() % 6 == 0) {
      value.erase(at);
    } else {
      mutate(*at, random);
    }
    return;
  }
  if (value.is_object() && random() % 2 == 0) {
    value["key_" + std::to_string(random() % 3)] = strange_value(random);
    return;
  }
  value = strange_value(random);
}

inline std::string mutated(const std::string& text, std::mt19937_64& random) {
  const auto kind = random() % 8;
  if (kind == 0) return text.substr(0, random() % text.size());
  if (kind == 1) {
    std::string damaged = text;
    damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    return damaged;
  }
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) return text + std::string(2000, '[');
  if (kind == 2) return std::string(200, '[') + text + std::string(200, ']');
  for (uint64_t changes = 1 + random() % 2; changes > 0; --changes) {
    mutate(value, random);
  }
  return value.dump();
}

/** Fails where `action` throws anything but rsm::Error. */
inline void expect_error_or_none(const std::function<void()>& action,
                                 const std::string& context) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("json.exception"),
              std::string::npos)
        << error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what() << "\n" << context.substr(0, 600);
  }
}

}  // namespace rsm
