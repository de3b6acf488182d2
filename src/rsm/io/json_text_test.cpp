#include "rsm/io/json_text.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "rsm/base/random.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

std::string nested(int depth, const std::string& open,
                   const std::string& close) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += open;
  text += "1";
  for (int i = 0; i < depth; ++i) text += close;
  return text;
}

std::string error(const std::string& text) {
  return error_of([&] { parse_json("[who] it", text); });
}

TEST(JsonText, GivesTheValue) {
  const json value = {{"b", {1, 2.5, "\xc3\xa9 \" [["}}, {"a", nullptr}};
  EXPECT_EQ(parse_json("it", value.dump()), value);
  EXPECT_EQ(parse_json("it", "\xef\xbb\xbf{}"), json::object());
}

TEST(JsonText, MistakesAreNamedWithTheirPositionInNoOnesElseWords) {
  for (const auto& [text, place] :
       std::map<std::string, std::string>{{"", "1:1"},
                                          {"{\n \"a\": oops}", "2:7"},
                                          {"{} x", "1:4"},
                                          {"[1, 1e999]", "1:9"},
                                          {"[\"\x1b\"]", "1:3"},
                                          {"[\"\xff\"]", "1:3"}}) {
    const std::string message = error(text);
    expect_parts(message, {"[who] it:" + place + ": not valid JSON: "});
    EXPECT_EQ(message.find("exception"), std::string::npos) << message;
    EXPECT_NO_THROW(json(message).dump()) << "no UTF-8";
  }
  expect_parts(error(std::string("{}\0", 3)), {"1:3", "zero byte"});
  EXPECT_LT(error("[\"" + std::string(100000, 'a')).size(), 300u);
}

TEST(JsonText, NestsSoDeepAndNoDeeper) {
  for (const auto& [open, close] :
       std::map<std::string, std::string>{{"[", "]"}, {"{\"a\": ", "}"}}) {
    EXPECT_NO_THROW(parse_json("it", nested(kJsonDepth, open, close)));
    for (const int depth : {kJsonDepth + 1, 8000, 1'000'000}) {
      const std::string text = nested(depth, open, close);
      expect_parts(error(text), {"nest deeper than 100"});
      // Cut off before the first that closes.
      expect_parts(error(text.substr(0, open.size() * depth)),
                   {"nest deeper than 100"});
    }
  }
  // Brackets of a text are none.
  const json text = std::string(1000, '[') + "\"\\" + std::string(1000, '{');
  EXPECT_EQ(parse_json("it", text.dump()), text);
}

TEST(JsonText, HasABoundOfItsReader) {
  EXPECT_EQ(parse_json("it", "[1]", 3), json({1}));
  expect_parts(error_of([] { parse_json("[who] it", "[1] ", 3); }),
               {"[who] it: 4 bytes", "at most 3"});
}

TEST(JsonText, DamagedTextsAreReadOrNamed) {
  const std::string whole =
      R"({"a": [1, -2.5e3, true, null], "b": {"c": "\u00e9\n"}, "d": "x"})";
  int64_t refused = 0;
  for (int64_t seed = 0; seed < 2000; ++seed) {
    const auto picks = counted_permutation(seed, 256);
    std::string text = whole;
    text[picks[0] % text.size()] = static_cast<char>(picks[1]);
    text.erase(picks[2] % text.size(), picks[3] % 3);
    try {
      parse_json("it", text);
    } catch (const Error& error) {
      ++refused;
      EXPECT_NO_THROW(json(error.what()).dump());
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(JsonText, NumbersOfPythonBecomeTexts) {
  EXPECT_EQ(quote_python_numbers(R"([NaN, -Infinity, "NaN \" Infinity"])"),
            R"(["NaN", "-Infinity", "NaN \" Infinity"])");
  EXPECT_EQ(quote_python_numbers("\"cut\\"), "\"cut\\");
}

}  // namespace
}  // namespace rsm
