#include "rsm/io/json_fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

/** What a reader might want of a key, whatever stands there. */
const std::vector<std::function<void(const JsonFields&)>>& wishes() {
  static int64_t integer = 0;
  static double number = 0;
  static bool truth = false;
  static std::string text = "a";
  static std::vector<int64_t> integers;
  static const std::vector<std::function<void(const JsonFields&)>> all = {
      [](auto& f) { f.integer("k", integer, 1, 3); },
      [](auto& f) { f.integer("k"); },
      [](auto& f) { f.integers("k", integers, 1, 3, 2); },
      [](auto& f) { f.integers("k"); },
      [](auto& f) { f.number_above("k", number, 0, 1); },
      [](auto& f) { f.amount("k"); },
      [](auto& f) { f.numbers("k"); },
      [](auto& f) { f.truth("k", truth); },
      [](auto& f) { f.text("k", text); },
      [](auto& f) { f.text("k"); },
      [](auto& f) { f.texts("k"); },
      [](auto& f) {
        f.choice("k", text, {"a", "b"});
      },
      [](auto& f) { f.object("k"); }};
  return all;
}

TEST(JsonFields, EveryValueIsTakenByItsKindsAndRefusedByNameElsewhere) {
  const std::vector<std::pair<json, std::string>> taken = {
      // Which of wishes() take it, in their order.
      {json(2), "yynnnynnnnnnn"},
      {json(7), "nynnnynnnnnnn"},
      {json(-1), "nnnnnnnnnnnnn"},
      {json(0.5), "nnnnyynnnnnnn"},
      {json(1e300), "nnnnnynnnnnnn"},
      {json(~uint64_t{0}), "nnnnnynnnnnnn"},
      {json(true), "nnnnnnnynnnnn"},
      {json("a"), "nnnnnnnnyynyn"},
      {json("c"), "nnnnnnnnyynnn"},
      {json(), "nnnnnnnnnnnnn"},
      {json::array(), "nnyynnynnnynn"},
      {json({1, 2}), "nnyynnynnnnnn"},
      {json({1, 2, 3}), "nnnynnynnnnnn"},
      {json({0.5, nullptr}), "nnnnnnynnnnnn"},
      {json::array({"x", "y"}), "nnnnnnnnnnynn"},
      {json::object(), "nnnnnnnnnnnny"}};
  for (const auto& [value, answers] : taken) {
    const json object = {{"a", {{"k", value}}}};
    const auto fields = JsonFields(object, "[who] f.json").object("a");
    for (size_t i = 0; i < wishes().size(); ++i) {
      SCOPED_TRACE(cat(value.dump(), " ", i));
      const auto read = [&] { wishes()[i](fields); };
      if (answers[i] == 'y') {
        EXPECT_NO_THROW(read());
      } else {
        expect_parts(error_of(read), {"[who] f.json: a.k"});
      }
    }
  }
}

TEST(JsonFields, WhatMayBeMissingStaysAsItIs) {
  const json object = {{"null", nullptr}};
  int64_t value = 5;
  const JsonFields strict(object, "x");
  strict.integer("k", value, 1, 3);
  expect_parts(error_of([&] { strict.integer("null", value, 1, 3); }),
               {"null is null"});
  expect_parts(error_of([&] { strict.integer("k"); }),
               {"x: k is missing", "an integer"});
  const JsonFields mild(object, "x", JsonFields::Null::is_missing);
  mild.integer("null", value, 1, 3);
  EXPECT_FALSE(mild.has("null"));
  EXPECT_EQ(value, 5);
}

TEST(JsonFields, UnknownKeysAreNamedWithTheNearest) {
  const json object = {{"_private", 1}, {"torch_dtype", 1}, {"widht", 1}};
  expect_parts(error_of([&] {
                 JsonFields(object, "x").check_keys({{"width", 0}, {"_a", 0}});
               }),
               {"x: ", "widht", "did you mean \"width\""});
  EXPECT_NO_THROW(JsonFields(object, "x").check_keys({{"widht", 0}}));
  expect_parts(error_of([] { JsonFields(json::array(), "x"); }),
               {"x holds: array"});
}

TEST(JsonFields, MissingNumbersOfAListAreNaN) {
  const json object = {{"k", {1, nullptr}}};
  const auto numbers = JsonFields(object, "x").numbers("k");
  EXPECT_EQ(numbers[0], 1);
  EXPECT_TRUE(std::isnan(numbers[1]));
}

}  // namespace
}  // namespace rsm
