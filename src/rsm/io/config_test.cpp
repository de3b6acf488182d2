#include "rsm/io/config.h"

#include <gtest/gtest.h>

#include "rsm/io/config_testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

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
  add(config.real("weight", -0.0));
  return out;
}

TEST(Config, GivesWhatStandsThereAndDefaultsOtherwise) {
  const auto config = parsed_config(kRun);
  EXPECT_EQ(ask_all(config),
            "7|1|20|0|ratio|1|2|3|1|inf|shapes|0|1.5|1|"
            "  two\nlines: #1 \\ \"quoted\" \x07|models/a b|4|a, ~, , b: c|"
            "-0|");
  config.done();
}

TEST(Config, ResolvedReadsBackAsTheSameValues) {
  const auto config = parsed_config(kRun);
  const auto values = ask_all(config);
  const auto resolved = config.resolved();
  const auto again = parsed_config(resolved);
  EXPECT_EQ(ask_all(again), values);
  EXPECT_EQ(again.resolved(), resolved);
  again.done();
  // Every default stands there now: nothing was left to the program.
  EXPECT_EQ(again.section("model").section("lora").integer("rank", 8), 4);
}

TEST(Config, ResolvedIsInTheOrderOfAsking) {
  const auto config = parsed_config("b: {c: 1}\na: 2\nd: {}\n");
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
    const auto config = parsed_config("");
    config.real("x", value);
    EXPECT_EQ(parsed_config(config.resolved()).real("x", 0), value);
  }
}

TEST(Config, EveryTextReadsBackAsItIs) {
  std::vector<std::string> texts = {"",     "~",   "null", "true", "- a",
                                    "a: b", "#c",  " a ",  "'",    "a\n\nb\n",
                                    "é 中", "---", ".inf", "{",    "a,b]",
                                    "\t",   "*a",  "!x",   "12",   "@"};
  for (int c = 1; c < 128; ++c) texts.emplace_back(3, static_cast<char>(c));
  const auto config = parsed_config("");
  config.texts("all", texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    config.text(cat("t", i), texts[i]);
    config.section("keys").integer("k" + texts[i], 1);
  }
  const auto again = parsed_config(config.resolved());
  EXPECT_EQ(again.texts("all", {}), texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(again.text(cat("t", i)), texts[i]);
    EXPECT_TRUE(again.section("keys").has("k" + texts[i])) << texts[i];
  }
}

TEST(Config, AskingTwiceNeedsOneDefault) {
  const auto config = parsed_config("here: 1");
  EXPECT_EQ(config.integer("x", 1), config.integer("x", 1));
  expect_parts(error_of([&] { config.integer("x", 2); }), {"x", "defaults"});
  EXPECT_EQ(config.integer("here", 5), config.integer("here", 6));
}

TEST(Config, AliasesStandForWhatTheyName) {
  const auto config = parsed_config("a: &x {n: 1}\nb: *x\nc: [&y 2, *y]\n");
  EXPECT_EQ(config.section("a").integer("n", 0), 1);
  EXPECT_EQ(config.section("b").integer("n", 0), 1);
  EXPECT_EQ(config.integers("c", {}), (std::vector<int64_t>{2, 2}));
  config.done();
}

TEST(ConfigOverride, ReplacesAndCreates) {
  const auto config =
      parsed_config("train: {lr: 1}\nlist: [1]\nempty:\n",
                    {"train.lr=3e-4", "a.b.c=x=y", "list=[2, 3]", "empty.x=1",
                     "train.lr=4e-4"});
  EXPECT_EQ(config.section("train").real("lr", 0), 4e-4);
  EXPECT_EQ(config.section("a").section("b").text("c"), "x=y");
  EXPECT_EQ(config.integers("list", {}), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(config.section("empty").integer("x", 0), 1);
  config.done();
}

TEST(ConfigOverride, ReplacesWholeSections) {
  const auto config =
      parsed_config("a: {x: 1, y: 2}\nb: 3\n", {"a={y: 5}", "b={z: 1}"});
  EXPECT_EQ(config.section("a").integer("x", 0), 0);
  EXPECT_EQ(config.section("a").integer("y", 0), 5);
  EXPECT_EQ(config.section("b").integer("z", 0), 1);
}

TEST(Config, FilesAreLoaded) {
  const TemporaryFolder folder;
  const auto path = folder / "run.yaml";
  write_file_atomic(path, "a: 1\n");
  EXPECT_EQ(Config::load(path, {"a=2"}).integer("a", 0), 2);
  const auto missing = folder / "none.yaml";
  expect_parts(error_of([&] { Config::load(missing); }),
               {"[config] " + missing});
}

TEST(Config, WhateverTheTextMistakesAreUsageErrors) {
  int64_t refused = 0, read = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    try {
      const auto config = parsed_config(mutated(kRun, seed));
      ask_all(config);
      config.done();
      ++read;
    } catch (const UsageError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 400);
  EXPECT_GT(read, 100);
}

}  // namespace
}  // namespace rsm
