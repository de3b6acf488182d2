#include <gtest/gtest.h>

#include <limits>

#include "rsm/io/config.h"
#include "rsm/io/config_testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** Asks for all that a small config has; what it lacks is required. */
void ask_some(const Config& config) {
  const auto train = config.section("train");
  train.real("lr", 1, 0, 1);
  train.integer("steps", 1, 1, 100);
  train.flag("resume", false);
  config.text("name");
}

TEST(Config, AllMistakesAreToldAtOnceUnknownKeysFirst) {
  EXPECT_EQ(problems("sead: 1\n"
                     "train:\n"
                     "  lr: lots\n"
                     "  steps: 1000\n"
                     "  lrr: 2\n",
                     ask_some),
            "[config] 5 problems:\n"
            "  run.yaml:1: sead: unknown key; known: train, name\n"
            "  run.yaml:5: train.lrr: unknown key; known: lr, steps, resume "
            "(did you mean \"lr\"?)\n"
            "  run.yaml:3: train.lr: got \"lots\"; allowed: a number in [0, "
            "1]\n"
            "  run.yaml:4: train.steps: got \"1000\"; allowed: an integer in "
            "[1, 100]\n"
            "  run.yaml: name: missing; allowed: a text");
}

TEST(Config, OverridesAreToldWithTheFile) {
  EXPECT_EQ(problems("train: {lrr: 1}\n", ask_some,
                     {"train.steps=x", "name", "train.lr=[1,", "nmae=x"}),
            "[config] 6 problems:\n"
            "  run.yaml:1: train.lrr: unknown key; known: lr, steps, resume "
            "(did you mean \"lr\"?)\n"
            "  --set nmae: nmae: unknown key; known: train, name (did you mean "
            "\"name\"?)\n"
            "  --set train.steps: train.steps: got \"x\"; allowed: an integer "
            "in [1, 100]\n"
            "  --set train.lr: train.lr: a key must be a plain word; is a "
            "bracket not closed?\n"
            "  --set name: not an assignment; allowed: section.key=value\n"
            "  run.yaml: name: missing; allowed: a text");
}

TEST(Config, GoesOnWithDefaultsAfterAMistake) {
  const auto config =
      parsed_config("train: 5\nx: a\nl: [1, b, 3]\nk: p\ns: [1, {}]\n");
  EXPECT_EQ(config.section("train").real("lr", 0.5), 0.5);
  EXPECT_EQ(config.integer("x", 7), 7);
  EXPECT_EQ(config.integers("l", {}), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(config.choice("k", "b", {"a", "b"}), "b");
  EXPECT_EQ(config.text("missing"), "");
  EXPECT_EQ(config.sections("s").size(), 1u);
  EXPECT_TRUE(config.is_wrong("x"));
  EXPECT_TRUE(config.is_wrong("l"));
  EXPECT_FALSE(config.is_wrong("k2"));
  EXPECT_THROW(config.done(), UsageError);
  EXPECT_THROW(config.resolved(), UsageError);
}

TEST(Config, KeysOfSectionsThatNobodyKnowsArePassedOver) {
  const auto config = parsed_config("a: {b: {c: 1}, n: x}\nd: 1\n");
  const auto a = config.section("a");
  a.integer("n", 1);
  a.allow_any_key();
  EXPECT_EQ(error_of([&] { config.done(); }),
            "[config] 2 problems:\n"
            "  run.yaml:2: d: unknown key; known: a\n"
            "  run.yaml:1: a.n: got \"x\"; allowed: an integer");
}

TEST(Config, KeysNeverAskedForAreRefused) {
  const auto ask = [](const Config& config) {
    config.section("train").real("lr", 1);
    config.section("train").integer("steps", 1);
  };
  EXPECT_EQ(problems("train:\n  lr: 1\n  lrr: 2\n", ask),
            "[config] run.yaml:3: train.lrr: unknown key; known: lr, steps "
            "(did you mean \"lr\"?)");
  EXPECT_EQ(problems("x: {y: 1}\n", ask),
            "[config] run.yaml:1: x: unknown key; known: train");
  EXPECT_EQ(problems("x: {y: 1}\n", [](auto& c) { c.section("x"); }),
            "[config] run.yaml:1: x.y: unknown key; none is known here");
  const auto config = parsed_config("train: {lr: 1, lrr: 2}\n");
  EXPECT_THROW(config.section("train").done(), UsageError);
}

TEST(Config, KeysInAnotherPlaceAreNamedWithTheirOwn) {
  expect_parts(problems("name: a\nsteps: 3\n", ask_some),
               {"steps: unknown", "belongs to the section train"});
  expect_parts(problems("name: a\ntrain: {name: b}\n", ask_some),
               {"train.name: unknown", "top level"});
  expect_parts(problems("name: a\ntrain.lr: 0.5\n", ask_some),
               {"train.lr: unknown", "--set"});
}

TEST(Config, KeysInListsOfSectionsAreChecked) {
  const auto ask = [](const Config& config) {
    for (const auto& item : config.sections("r")) item.integer("name", 0);
  };
  EXPECT_EQ(problems("r:\n  - name: 1\n  - name: 2\n    weight: 3\n", ask),
            "[config] run.yaml:4: r[1].weight: unknown key; known: name");
  EXPECT_TRUE(parsed_config("").sections("r").empty());
}

TEST(Config, HasTestsWithoutAsking) {
  const auto config = parsed_config("lora: {rank: 4}\nnothing:\n");
  EXPECT_TRUE(config.has("lora"));
  EXPECT_TRUE(config.has("nothing"));
  EXPECT_FALSE(config.has("ema"));
  expect_parts(error_of([&] { config.done(); }),
               {":1: lora: unknown", ":2: nothing: unknown"});
}

TEST(Config, NullSectionIsEmptyAndNullValueIsRefused) {
  EXPECT_EQ(parsed_config("train:\n").section("train").integer("x", 3), 3);
  EXPECT_EQ(problems("\nlr:\n", [](auto& c) { c.real("lr", 1); }),
            "[config] run.yaml:2: lr: got nothing; allowed: a number");
}

TEST(Config, WrongTypesAreNamed) {
  const auto error = [](const std::string& value, const auto& ask) {
    return problems("\na: " + value + "\n", [&](auto& c) { ask(c); });
  };
  const auto integer = [](const Config& c) { c.integer("a", 1); };
  const auto integers = [](const Config& c) { c.integers("a", {}); };
  const auto text = [](const Config& c) { c.text("a"); };
  EXPECT_EQ(error("lots", integer),
            "[config] run.yaml:2: a: got \"lots\"; allowed: an integer");
  EXPECT_EQ(error("\"3\"", integer),
            "[config] run.yaml:2: a: got the text \"3\"; allowed: an integer");
  EXPECT_EQ(error("[1, b]", integers),
            "[config] run.yaml:2: a[1]: got \"b\"; allowed: an integer");
  EXPECT_EQ(error("yes", [](const Config& c) { c.flag("a", true); }),
            "[config] run.yaml:2: a: got \"yes\"; allowed: true or false");
  expect_parts(error("1.5", integer), {":2: a: got \"1.5\""});
  expect_parts(error("3", integers), {":2: a: got \"3\"", "a list"});
  expect_parts(error("[x]", text), {":2: a: got a list", "a text"});
  expect_parts(error("{x: 1}", text), {":2: a: got a section"});
  const auto section = [](const Config& c) { c.section("a").integer("b", 1); };
  expect_parts(error("3", section), {":2: a: got \"3\"", "a section"});
  const auto sections = [](const Config& c) { c.sections("a"); };
  expect_parts(error("3", sections), {":2: a: got \"3\""});
  expect_parts(error("[1]", sections), {":2: a[0]: got \"1\""});
}

TEST(Config, WhatIsWrongIsShownShortAndPrintable) {
  const auto found = problems("a: \"\\n" + std::string(100000, 'x') + "\"\n",
                              [](auto& c) { c.choice("a", "b", {"b"}); });
  EXPECT_LT(found.size(), 250u);
  expect_parts(found, {"unknown \" xx", "...", "known: b"});
}

TEST(Config, NumbersAreReadStrictly) {
  const auto real = [](const std::string& text) {
    const auto config = parsed_config("x: " + text);
    const double value = config.real("x", 0, -kInfinity, kInfinity);
    config.done();
    return value;
  };
  EXPECT_EQ(real("1"), 1);
  EXPECT_EQ(real("0"), 0);
  EXPECT_EQ(real("0.5"), 0.5);
  EXPECT_EQ(real("+1.5E+2"), 150);
  EXPECT_EQ(real("-.5"), -0.5);
  EXPECT_EQ(real("-.inf"), -kInfinity);
  for (const std::string text :
       {"nan", ".nan", "inf", "1,5", "0x10", "1e", "++1", "+-1", "1e999", "1 2",
        "1_000", "e5", ".", "010", "-01.5"}) {
    expect_parts(error_of([&] { real(text); }), {"a number", text});
  }
  for (const std::string text :
       {"1.0", "1e3", "0x10", "9223372036854775808", "--1", "+-1", "1_0", "010",
        "+010", "0o10", "yes"}) {
    expect_parts(problems("x: " + text, [](auto& c) { c.integer("x", 0); }),
                 {"an integer", text});
  }
  EXPECT_EQ(parsed_config("x: -9223372036854775808").integer("x", 0),
            std::numeric_limits<int64_t>::min());
}

TEST(Config, RangesAreNamedAndIncludeTheirEnds) {
  EXPECT_EQ(parsed_config("n: 11\n").integer("n", 11, 11, 11), 11);
  EXPECT_EQ(problems("n: 11\n", [](auto& c) { c.integer("n", 1, 1, 10); }),
            "[config] run.yaml:1: n: got \"11\"; allowed: an integer in "
            "[1, 10]");
  const auto real = [](const Config& c) { c.real("x", 1, 0); };
  EXPECT_EQ(problems("x: -0.1\n", real),
            "[config] run.yaml:1: x: got \"-0.1\"; allowed: a number >= 0");
  expect_parts(problems("x: .inf\n", real), {"x: ", ">= 0"});
  expect_parts(error_of([&] { parsed_config("").integer("m", 0, 1); }),
               {"default", "m"});
}

TEST(Config, ChoicesAreNamed) {
  const auto ask = [](const Config& config) {
    config.choice("kind", "none", {"ratio", "none"});
  };
  EXPECT_EQ(problems("kind: ratoi\n", ask),
            "[config] run.yaml:1: kind: unknown \"ratoi\"; known: ratio, none "
            "(did you mean \"ratio\"?)");
}

TEST(Config, RequiredTextsAreNamed) {
  EXPECT_EQ(problems("\nmodel: {}\n",
                     [](auto& c) { c.section("model").text("folder"); }),
            "[config] run.yaml:2: model.folder: missing; allowed: a text");
  EXPECT_EQ(problems("", [](auto& c) { c.text("folder"); }),
            "[config] run.yaml: folder: missing; allowed: a text");
}

TEST(Config, CallersCanNoteTheirOwnMistakes) {
  EXPECT_EQ(problems("model:\n  a: 1\n",
                     [](auto& c) {
                       const auto model = c.section("model");
                       model.text("a");
                       model.note("a", "no such file");
                       model.check("b", [] { throw Error("bad"); });
                       // What follows from a mistake is not told.
                       c.note("model", "nothing that is");
                     }),
            "[config] 2 problems:\n"
            "  run.yaml:2: model.a: no such file\n"
            "  run.yaml:1: model.b: bad");
}

TEST(ConfigOverride, MalformedOnesAreNamed) {
  const auto error = [](const std::string& text) {
    return problems(
        "a: 1\n", [](auto& c) { c.integer("a", 0), c.text("b", ""); }, {text});
  };
  for (const std::string text : {"a", "=1", "a..b=1", ".a=1", "a.=1", ""}) {
    EXPECT_EQ(error(text), cat("[config] --set ", text,
                               ": not an assignment; allowed: "
                               "section.key=value"));
  }
  expect_parts(error("a.b=1"), {"--set a.b: a (run.yaml:1)", "not a section"});
  expect_parts(error("b=[1"), {"--set b: b: ", "bracket"});
  expect_parts(error("b=[1] {x: y},"), {"--set b: b: a second YAML"});
  std::string deep = "a";
  for (int i = 0; i < 60000; ++i) deep += ".a";
  expect_parts(error(deep + "=1"), {"--set a.a.a", "64 levels"});
  for (const std::string text :
       {"run #3", "run\t#3", "#3", "'run' #3", "a, \"b #3\""}) {
    expect_parts(error("b=" + text), {"--set b: b: ", "comment", "quotes"});
  }
  const auto quoted = parsed_config("", {"b=[\"x #3\", 'y\t#4']"});
  EXPECT_EQ(quoted.texts("b", {}), (std::vector<std::string>{"x #3", "y\t#4"}));
  expect_parts(error("b=\xE9"), {"--set b: b: ", "UTF-8"});
  expect_parts(error("b={c: 1, c: 2}"), {"b: got a section"});
}

}  // namespace
}  // namespace rsm
