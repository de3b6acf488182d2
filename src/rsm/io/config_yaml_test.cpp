#include <gtest/gtest.h>

#include <limits>

#include "rsm/io/config.h"
#include "rsm/io/config_testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(Config, MalformedTextsAreNamed) {
  const auto error = [](const std::string& text) {
    return problems(text, [](auto&) {});
  };
  EXPECT_EQ(problems("a:\n  b: 1\n  c: 2\n  b: 3\n",
                     [](auto& c) {
                       c.section("a").integer("b", 0);
                       c.section("a").integer("c", 0);
                     }),
            "[config] run.yaml:4: a.b: given twice; first at run.yaml:2");
  expect_parts(error("a: 1\nb: [1, 2\n"), {"[config] run.yaml:", "not YAML"});
  expect_parts(error("a: 1\n\tb: 2\n"), {"run.yaml:2: not YAML", "a tab"});
  expect_parts(error("- a\n"), {"run.yaml: got a list", "a map"});
  expect_parts(error("word"), {"run.yaml: got \"word\"", "a map"});
  expect_parts(error("a: 1\n---\nb: 1\n"), {"run.yaml:2", "second YAML"});
  expect_parts(error("a: 1\n...\n{b: 1},"), {"run.yaml:3", "second YAML"});
  expect_parts(error("? [a, b]\n: 1\n"), {"run.yaml:1", "key"});
  expect_parts(error("~: 1\n"), {"run.yaml:1", "key"});
  expect_parts(error("a: *b\n"), {"run.yaml:1: not YAML"});
  expect_parts(error("a: &b\n  c: *b\n"), {"run.yaml:2", "alias"});
  expect_parts(error("&a b: *a\n"), {"run.yaml:1", "alias"});
  expect_parts(error("a: 1\nb: \xE4\n"), {"run.yaml:2", "0xE4", "UTF-8"});
  expect_parts(error(std::string("a: 1\n\0", 6)), {"run.yaml:2", "byte 0"});
  expect_parts(error("\xFF\xFE"
                     "a"),
               {"run.yaml", "UTF-16"});
  parsed_config("").done();
  parsed_config("# nothing\n").done();
  parsed_config(
      "\xEF\xBB\xBF"
      "a: 1\r\n")
      .integer("a", 0);
}

/** `text` so many times. */
std::string times(int64_t count, const std::string& text) {
  std::string out;
  for (int64_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(Config, WhatTheParserTakesTooLongForIsRefused) {
  const auto error = [](const std::string& text) {
    return problems(text, [](auto&) {});
  };
  std::string laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string old = cat(", *", static_cast<char>(c - 1));
    laughs += cat(c, ": &", c, " [", times(9, old).substr(2), "]\n");
  }
  expect_parts(error(laughs), {"run.yaml:5", "10000 values"});
  expect_parts(error("a: " + times(100, "[") + times(100, "]")),
               {"run.yaml:1", "64 levels"});
  expect_parts(error("a: " + times(100000, "{a: ")), {"run.yaml"});
  expect_parts(error(times(20000, "? ")), {"run.yaml"});
  expect_parts(error("a: [" + times(20000, "1,") + "]"), {"10000 values"});
  expect_parts(error("a: " + times(1 << 20, "x")), {"bytes"});
  expect_parts(error("a: [1] {x: y},"), {"run.yaml:1"});
}

}  // namespace
}  // namespace rsm
