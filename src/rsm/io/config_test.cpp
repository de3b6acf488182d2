#include "rsm/io/config.h"

#include <gtest/gtest.h>

#include <limits>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Config parse(const std::string& text,
             const std::vector<std::string>& overrides = {}) {
  return Config::parse(text, "run.yaml", overrides);
}

/** Text of the UsageError; mistakes of the user must not be plain Errors. */
std::string usage_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no rsm::UsageError was thrown";
  return "";
}

constexpr const char* kRun = R"(# a comment
seed: 7
train:
  lr: 3e-4
  steps: 20
  resume: false
  kind: ratio
  branches: [1, 2, 3]
rewards:
  - name: shapes
    weight: 0.5
  - name: "1.5"
note: "  two\nlines: #1 \\ \"quoted\" \x07"
)";

/** Asks for all of kRun and some defaults; what it returns is what it read. */
std::string ask_all(const Config& config) {
  std::string out;
  const auto add = [&](const auto& value) { out += cat(value, "|"); };
  add(config.integer("seed", 1, 0));
  const auto train = config.section("train");
  add(train.real("lr", 1, 0, 1) == 3e-4);
  add(train.integer("steps", 10, 1, 100));
  add(train.flag("resume", true));
  add(train.choice("kind", "matching", {"matching", "ratio"}));
  for (const auto value : train.integers("branches", {})) add(value);
  add(train.real("third", 1.0 / 3) == 1.0 / 3);
  add(train.real("never", kInfinity, 0, kInfinity));
  for (const auto& reward : config.sections("rewards")) {
    add(reward.text("name"));
    add(reward.real("weight", 0.1) == 0.1);
  }
  add(config.text("note"));
  add(config.section("model").text("folder", "models/a b"));
  add(config.section("model").section("lora").integer("rank", 4));
  add(join(config.section("model").texts("targets", {"a", "~", "", "b: c"})));
  for (const auto value : config.reals("weights", {-0.0, 1e-300})) add(value);
  return out;
}

TEST(Config, GivesWhatStandsThereAndDefaultsOtherwise) {
  const auto config = parse(kRun);
  EXPECT_EQ(ask_all(config),
            "7|1|20|0|ratio|1|2|3|1|inf|shapes|0|1.5|1|"
            "  two\nlines: #1 \\ \"quoted\" \x07|models/a b|4|a, ~, , b: c|"
            "-0|1e-300|");
  config.done();
}

TEST(Config, ResolvedReadsBackAsTheSameValues) {
  const auto config = parse(kRun);
  const auto values = ask_all(config);
  const auto resolved = config.resolved();
  const auto again = parse(resolved);
  EXPECT_EQ(ask_all(again), values);
  EXPECT_EQ(again.resolved(), resolved);
  again.done();
  // Every default stands there now: nothing was left to the program.
  EXPECT_EQ(again.section("model").section("lora").integer("rank", 8), 4);
}

TEST(Config, ResolvedIsInTheOrderOfAsking) {
  const auto config = parse("b: {c: 1}\na: 2\nd: {}\n");
  config.integer("a", 0);
  const auto b = config.section("b");
  config.section("d");
  config.section("absent");
  b.integer("e", 3);
  b.integer("c", 0);
  EXPECT_EQ(config.resolved(), "a: 2\nb:\n  e: 3\n  c: 1\nd: {}\n");
  EXPECT_EQ(b.resolved(), "e: 3\nc: 1\n");
}

TEST(Config, RealsReadBackExactly) {
  for (const double value : {0.1, 1.0 / 3, 1e22, 5e-324, 1.7976931348623157e308,
                             -2.5e-7, 100000.0, 3e-4}) {
    const auto config = parse("");
    config.real("x", value);
    EXPECT_EQ(parse(config.resolved()).real("x", 0), value);
  }
}

TEST(Config, EveryTextReadsBackAsItIs) {
  std::vector<std::string> texts = {"",     "~",   "null", "true", "- a",
                                    "a: b", "#c",  " a ",  "'",    "a\n\nb\n",
                                    "é 中", "---", ".inf", "{",    "a,b]",
                                    "\t",   "*a",  "!x",   "12",   "@"};
  for (int c = 1; c < 128; ++c) texts.emplace_back(3, static_cast<char>(c));
  const auto config = parse("");
  config.texts("all", texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    config.text(cat("t", i), texts[i]);
    config.section("keys").integer("k" + texts[i], 1);
  }
  const auto again = parse(config.resolved());
  EXPECT_EQ(again.texts("all", {}), texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(again.text(cat("t", i)), texts[i]);
    EXPECT_TRUE(again.section("keys").has("k" + texts[i])) << texts[i];
  }
}

TEST(Config, AskingTwiceNeedsOneDefault) {
  const auto config = parse("here: 1");
  EXPECT_EQ(config.integer("x", 1), config.integer("x", 1));
  expect_parts(error_of([&] { config.integer("x", 2); }), {"x", "defaults"});
  EXPECT_EQ(config.integer("here", 5), config.integer("here", 6));
}

TEST(Config, KeysNeverAskedForAreRefused) {
  const auto config = parse("train:\n  lr: 1\n  lrr: 2\nx: {y: 1}\n");
  const auto train = config.section("train");
  train.real("lr", 1);
  train.integer("steps", 1);
  EXPECT_EQ(usage_error([&] { config.done(); }),
            "[config] run.yaml:3: train.lrr: unknown key; known: lr, steps "
            "(did you mean \"lr\"?)");
  EXPECT_EQ(usage_error([&] { train.done(); }),
            usage_error([&] { config.done(); }));
  train.real("lrr", 1);
  train.done();
  EXPECT_EQ(usage_error([&] { config.done(); }),
            "[config] run.yaml:4: x: unknown key; known: train");
  config.section("x");
  EXPECT_EQ(usage_error([&] { config.done(); }),
            "[config] run.yaml:4: x.y: unknown key; none is known here");
}

TEST(Config, KeysInListsOfSectionsAreChecked) {
  const auto config = parse("r:\n  - name: 1\n  - name: 2\n    weight: 3\n");
  for (const auto& item : config.sections("r")) item.integer("name", 0);
  EXPECT_EQ(usage_error([&] { config.done(); }),
            "[config] run.yaml:4: r[1].weight: unknown key; known: name");
  EXPECT_TRUE(parse("").sections("r").empty());
}

TEST(Config, HasTestsWithoutAsking) {
  const auto config = parse("lora: {rank: 4}\nlorra: 1\nnothing:\n");
  EXPECT_TRUE(config.has("lora"));
  EXPECT_TRUE(config.has("nothing"));
  EXPECT_FALSE(config.has("ema"));
  expect_parts(usage_error([&] { config.done(); }), {":1: lora: unknown"});
  EXPECT_EQ(config.resolved(), "");
}

TEST(Config, NullSectionIsEmptyAndNullValueIsRefused) {
  const auto config = parse("train:\nlr:\n");
  EXPECT_EQ(config.section("train").integer("x", 3), 3);
  EXPECT_EQ(usage_error([&] { config.real("lr", 1); }),
            "[config] run.yaml:2: lr: got nothing; allowed: a number");
}

TEST(Config, WrongTypesAreNamed) {
  const auto config = parse(
      "a:\n  x: lots\n  n: 3\n  q: \"3\"\n  l: [1, b]\n"
      "  y: yes\n  r: 1.5\n");
  const auto a = config.section("a");
  const auto error = [](const auto& ask) { return usage_error(ask); };
  EXPECT_EQ(error([&] { a.integer("x", 1); }),
            "[config] run.yaml:2: a.x: got \"lots\"; allowed: an integer");
  EXPECT_EQ(error([&] { a.integer("q", 1); }),
            "[config] run.yaml:4: a.q: got the text \"3\"; allowed: an "
            "integer");
  EXPECT_EQ(error([&] { a.integers("l", {}); }),
            "[config] run.yaml:5: a.l[1]: got \"b\"; allowed: an integer");
  EXPECT_EQ(error([&] { a.flag("y", true); }),
            "[config] run.yaml:6: a.y: got \"yes\"; allowed: true or false");
  expect_parts(error([&] { a.integer("r", 1); }), {":7: a.r: got \"1.5\""});
  expect_parts(error([&] { a.integers("n", {}); }), {":3: a.n", "a list"});
  expect_parts(error([&] { a.text("l"); }), {":5: a.l: got a list", "a text"});
  expect_parts(error([&] { config.text("a"); }), {":1: a: got a section"});
  expect_parts(error([&] { a.section("n"); }), {":3: a.n: got \"3\""});
  expect_parts(error([&] { a.sections("n"); }), {":3: a.n: got \"3\""});
  expect_parts(error([&] { a.sections("l"); }), {":5: a.l[0]: got \"1\""});
}

TEST(Config, NumbersAreReadStrictly) {
  const auto real = [](const std::string& text) {
    return parse("x: " + text).real("x", 0, -kInfinity, kInfinity);
  };
  EXPECT_EQ(real("1"), 1);
  EXPECT_EQ(real("+1.5E+2"), 150);
  EXPECT_EQ(real("-.5"), -0.5);
  EXPECT_EQ(real("-.inf"), -kInfinity);
  for (const std::string text :
       {"nan", ".nan", "inf", "1,5", "0x10", "1e", "++1", "+-1", "1e999", "1 2",
        "1_000", "e5", "."}) {
    expect_parts(usage_error([&] { real(text); }), {"a number", text});
  }
  for (const std::string text :
       {"1.0", "1e3", "0x10", "9223372036854775808", "--1", "+-1", "1_0"}) {
    expect_parts(usage_error([&] { parse("x: " + text).integer("x", 0); }),
                 {"an integer", text});
  }
  EXPECT_EQ(parse("x: -9223372036854775808").integer("x", 0),
            std::numeric_limits<int64_t>::min());
}

TEST(Config, RangesAreNamedAndIncludeTheirEnds) {
  const auto config = parse("n: 11\nx: -0.1\ni: .inf\n");
  EXPECT_EQ(config.integer("n", 11, 11, 11), 11);
  EXPECT_EQ(usage_error([&] { config.integer("n", 1, 1, 10); }),
            "[config] run.yaml:1: n: got \"11\"; allowed: an integer in "
            "[1, 10]");
  EXPECT_EQ(usage_error([&] { config.real("x", 1, 0); }),
            "[config] run.yaml:2: x: got \"-0.1\"; allowed: a number >= 0");
  expect_parts(usage_error([&] { config.real("i", 1, 0); }), {"i: ", ">= 0"});
  expect_parts(error_of([&] { config.integer("m", 0, 1); }), {"default", "m"});
}

TEST(Config, ChoicesAreNamed) {
  const auto config = parse("kind: ratoi\n");
  const auto ask = [&] { config.choice("kind", "none", {"ratio", "none"}); };
  EXPECT_EQ(usage_error(ask),
            "[config] run.yaml:1: kind: unknown \"ratoi\"; known: ratio, none "
            "(did you mean \"ratio\"?)");
}

TEST(Config, RequiredTextsAreNamed) {
  const auto config = parse("\nmodel:\n  a: 1\n");
  EXPECT_EQ(usage_error([&] { config.section("model").text("folder"); }),
            "[config] run.yaml:2: model.folder: missing; allowed: a text");
  EXPECT_EQ(usage_error([&] { config.text("folder"); }),
            "[config] run.yaml: folder: missing; allowed: a text");
}

TEST(Config, CallersCanNameTheirOwnMistakes) {
  const auto model = parse("model:\n  a: 1\n").section("model");
  EXPECT_STREQ(model.error("a", "no such file").what(),
               "[config] run.yaml:2: model.a: no such file");
  EXPECT_STREQ(model.error("b", "no such file").what(),
               "[config] run.yaml:1: model.b: no such file");
}

TEST(Config, MalformedTextsAreNamed) {
  const auto error = [](const std::string& text) {
    return usage_error([&] { parse(text); });
  };
  EXPECT_EQ(error("a:\n  b: 1\n  c: 2\n  b: 3\n"),
            "[config] run.yaml:4: a.b: given twice; first at run.yaml:2");
  expect_parts(error("a: 1\nb: [1, 2\n"), {"[config] run.yaml:", "not YAML"});
  expect_parts(error("a: 1\n\tb: 2\n"), {"[config] run.yaml:2: not YAML"});
  expect_parts(error("- a\n"), {"run.yaml: got a list", "a map"});
  expect_parts(error("word"), {"run.yaml: got \"word\"", "a map"});
  expect_parts(error("a: 1\n---\nb: 1\n"), {"2 YAML documents"});
  expect_parts(error("? [a, b]\n: 1\n"), {"run.yaml:1", "key"});
  expect_parts(error("a: *b\n"), {"run.yaml:1: not YAML"});
  expect_parts(error("a: &b\n  c: *b\n"), {"run.yaml"});
  parse("").done();
  parse("# nothing\n").done();
}

TEST(Config, AliasesStandForWhatTheyName) {
  const auto config = parse("a: &x {n: 1}\nb: *x\n");
  EXPECT_EQ(config.section("a").integer("n", 0), 1);
  EXPECT_EQ(config.section("b").integer("n", 0), 1);
  config.done();
}

TEST(ConfigOverride, ReplacesAndCreates) {
  const auto config = parse("train: {lr: 1}\nlist: [1]\nempty:\n",
                            {"train.lr=3e-4", "a.b.c=x=y", "list=[2, 3]",
                             "empty.x=1", "train.lr=4e-4"});
  EXPECT_EQ(config.section("train").real("lr", 0), 4e-4);
  EXPECT_EQ(config.section("a").section("b").text("c"), "x=y");
  EXPECT_EQ(config.integers("list", {}), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(config.section("empty").integer("x", 0), 1);
  config.done();
}

TEST(ConfigOverride, ReplacesWholeSections) {
  const auto config =
      parse("a: {x: 1, y: 2}\nb: 3\n", {"a={y: 5}", "b={z: 1}"});
  EXPECT_EQ(config.section("a").integer("x", 0), 0);
  EXPECT_EQ(config.section("a").integer("y", 0), 5);
  EXPECT_EQ(config.section("b").integer("z", 0), 1);
}

TEST(ConfigOverride, IsNamedInErrors) {
  const auto config = parse("train: {lr: 1}\n", {"train.lr=x", "trian.lr=1"});
  EXPECT_EQ(usage_error([&] { config.section("train").real("lr", 0); }),
            "[config] --set train.lr: train.lr: got \"x\"; allowed: a number");
  EXPECT_EQ(usage_error([&] { config.done(); }),
            "[config] --set trian.lr: trian: unknown key; known: train (did "
            "you mean \"train\"?)");
}

TEST(ConfigOverride, MalformedOnesAreNamed) {
  const auto error = [](const std::string& text) {
    return usage_error([&] { parse("a: 1\n", {text}); });
  };
  for (const std::string text : {"a", "=1", "a..b=1", ".a=1", "a.=1", ""}) {
    expect_parts(error(text), {"--set " + text, "section.key=value"});
  }
  expect_parts(error("a.b=1"), {"--set a.b: a (run.yaml:1)", "not a section"});
  expect_parts(error("b=[1"), {"--set b: not YAML"});
  expect_parts(error("b={c: 1, c: 2}"), {"--set b: b.c: given twice"});
}

TEST(Config, FilesAreLoaded) {
  const TemporaryFolder folder;
  const auto path = folder / "run.yaml";
  write_file_atomic(path, "a: 1\n");
  EXPECT_EQ(Config::load(path, {"a=2"}).integer("a", 0), 2);
  const auto missing = folder / "none.yaml";
  expect_parts(usage_error([&] { Config::load(missing); }),
               {"[config] " + missing});
}

}  // namespace
}  // namespace rsm
