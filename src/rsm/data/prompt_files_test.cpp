#include "rsm/data/prompt_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/config_testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** The prompts of a file of this name and content, "text|category" each. */
std::vector<std::string> read(const std::string& name,
                              const std::string& content) {
  const TemporaryFolder folder;
  std::ofstream(folder / name) << content;
  std::vector<std::string> out;
  for (const auto& prompt : read_prompt_file(folder / name)) {
    EXPECT_EQ(prompt.id, std::ssize(out));
    out.push_back(prompt.text + "|" + prompt.category);
  }
  return out;
}

std::string read_error(const std::string& name, const std::string& content) {
  return error_of([&] { read(name, content); });
}

using Found = std::vector<std::string>;
const Found kTwo = {"a red circle|", "a blue square|"};
const Found kTold = {"a red circle|one", "a blue square|"};

TEST(PromptFiles, EveryFormatGivesTheSamePrompts) {
  const std::map<std::string, std::string> plain = {
      {"x.txt", "a red circle\na blue square\n"},
      {"x.TXT", "\xEF\xBB\xBF\r\na red circle\r\n\r\n a blue square"},
      {"x", "a red circle\ra blue square\r"},
      {"x.json", "[\"a red circle\",\"a blue square\"]"},
      {"x.JSON",
       "\n[\n {\"prompt\": \"a red circle\"},\n"
       "\"a blue square\"\n]\n"},
      {"y.json", "{\"prompt\": \"a red circle\"}\n\"a blue square\"\n"},
      {"x.jsonl",
       "{\"prompt\": \"a red circle\", \"tag\": null}\r\n"
       "\"a blue square\"\n"},
      {"x.csv", "prompt\na red circle\n\n\"a blue square\""},
      {"y.csv", "\n \r\nprompt\na red circle\na blue square"},
      {"x.tsv", "Text\tprompt\nno\ta red circle\nno\ta blue square\n"}};
  for (const auto& [name, content] : plain) {
    EXPECT_EQ(read(name, content), kTwo) << name;
  }
  const std::map<std::string, std::string> told = {
      {"x.json",
       "[{\"prompt\": \"a red circle\", \"category\": \"one\"},"
       "{\"prompt\": \"a blue square\", \"category\": null}]"},
      {"x.NdJson",
       "{\"prompt\": \"a red circle\", \"tag\": \"one\"}\n"
       "{\"prompt\": \"a blue square\"}"},
      {"x.csv", "Caption,Category\r\na red circle,one\r\na blue square,\r\n"},
      {"y.csv", "tag;prompt\none;a red circle\n;a blue square\n"},
      {"x.tab",
       "prompt\tnote\ttag\na red circle\tx\tone\n"
       "a blue square\t\t\n"}};
  for (const auto& [name, content] : told) {
    EXPECT_EQ(read(name, content), kTold) << name;
  }
}

TEST(PromptFiles, TextFileHasAPromptALine) {
  const TemporaryFolder folder;
  const std::string path = folder / "prompts.txt";
  write_file_atomic(path, "\xEF\xBB\xBF a red circle \r\n\n  \nzwölf Äpfel");
  const Prompts prompts = read_prompt_file(path);
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0].text, "a red circle");
  EXPECT_EQ(prompts[1].text, "zwölf Äpfel");
  EXPECT_EQ(prompts[1].id, 1);
  EXPECT_EQ(prompts[1].category, "");
}

TEST(PromptFiles, JsonLinesHaveCategoryOrTag) {
  const TemporaryFolder folder;
  const std::string path = folder / "metadata.jsonl";
  write_file_atomic(path,
                    "{\"tag\": \"counting\", \"include\": [{\"count\": 2}], "
                    "\"prompt\": \"two clocks\"}\n"
                    "\n"
                    "{\"prompt\": \" a cat\", \"category\": \"animals\"}\n"
                    "{\"prompt\": \"plain\"}\n");
  const Prompts prompts = read_prompt_file(path);
  ASSERT_EQ(prompts.size(), 3u);
  EXPECT_EQ(prompts[0].text, "two clocks");
  EXPECT_EQ(prompts[0].category, "counting");
  EXPECT_EQ(prompts[1].text, "a cat");
  EXPECT_EQ(prompts[1].category, "animals");
  EXPECT_EQ(prompts[2].category, "");
  EXPECT_EQ(prompts[2].id, 2);
}

/** The metadata of a file of this name and content. */
std::vector<std::string> metadata_in(const std::string& name,
                                     const std::string& content) {
  const TemporaryFolder folder;
  std::ofstream(folder / name) << content;
  std::vector<std::string> out;
  for (const auto& prompt : read_prompt_file(folder / name)) {
    out.push_back(prompt.metadata);
  }
  return out;
}

TEST(PromptFiles, KeepAllThatAnObjectSays) {
  const std::string told =
      R"({"prompt": " zwölf \u00c4pfel", "a": [1, {"b": [null, 0.1]}]})";
  const std::string kept =
      R"({"a":[1,{"b":[null,0.1]}],"prompt":" zwölf Äpfel"})";
  EXPECT_EQ(metadata_in("x.jsonl", told + "\n\"a text\"\n" + told),
            (Found{kept, "", kept}));
  EXPECT_EQ(metadata_in("x.json", "[\"a text\",\n" + told + "]"),
            (Found{"", kept}));
  // What it has a place for needs no other; tag is a name of the file's own.
  EXPECT_EQ(metadata_in("x.jsonl",
                        "{\"prompt\": \"a\", \"category\": \"b\"}\n"
                        "{\"prompt\": \"a\", \"tag\": \"b\"}\n"
                        "{\"prompt\": \"a\", \"x\": NaN}\n"),
            (Found{"", R"({"prompt":"a","tag":"b"})",
                   R"({"prompt":"a","x":"NaN"})"}));
  EXPECT_EQ(metadata_in("x.txt", "a\nb"), Found(2, ""));
  EXPECT_EQ(metadata_in("x.csv", "prompt,count\na,2"), Found(1, ""));
}

TEST(PromptFiles, ErrorsNameFileAndLine) {
  const TemporaryFolder folder;
  const std::string path = folder / "bad.jsonl";
  const auto error_for = [&](const std::string& line) {
    write_file_atomic(path, "{\"prompt\": \"fine\"}\n\n" + line);
    return error_of([&] { read_prompt_file(path); });
  };
  expect_parts(error_for("{\"prompt\": "), {"bad.jsonl:3:", "not valid JSON"});
  expect_parts(error_for("[1]"), {"bad.jsonl:3:", "array"});
  expect_parts(error_for("{\"text\": \"x\"}"), {"bad.jsonl:3:", "\"prompt\""});
  expect_parts(error_for("{\"prompt\": \" \"}"), {"bad.jsonl:3:", "empty"});
  expect_parts(error_for("{\"prompt\": 7}"),
               {"bad.jsonl:3:", "prompt is 7", "a text"});
  expect_parts(error_for("{\"prompt\": \"x\", \"tag\": []}"),
               {"bad.jsonl:3:", "tag is []", "a text"});
}

TEST(PromptFiles, CellsInQuotesHoldAnything) {
  EXPECT_EQ(
      read("x.csv", "prompt,category\n\"a cat, a \"\"dog\"\"\nand\",\"b\"\n"),
      Found{"a cat, a \"dog\"\nand|b"});
  // Nothing has to be quoted between tabs, so a quote may just stand there.
  EXPECT_EQ(read("x.tsv", "prompt\ttag\n\"Hi\" on a sign\tb\n"),
            Found{"\"Hi\" on a sign|b"});
}

TEST(PromptFiles, WordsInBracketsAreText) {
  EXPECT_EQ(read("x.txt", "[V] dog\n{red|blue} circle"),
            (Found{"[V] dog|", "{red|blue} circle|"}));
}

TEST(PromptFiles, PromptsThatBeginLikeOtherFormatsAreText) {
  for (const std::string prompt :
       {"<cat-toy> on a beach", "poster, text, red background", "[cat|dog]"}) {
    EXPECT_EQ(read("p.txt", prompt + "\na dog\n"),
              (Found{prompt + "|", "a dog|"}));
  }
}

TEST(PromptFiles, LabelsMayBeNumbersAndOtherValuesNoNumber) {
  const std::string lines =
      "{\"prompt\": \"a\", \"category\": 3, \"score\": NaN}\n"
      "{\"prompt\": \"b\", \"category\": NaN}\n";
  EXPECT_EQ(read("p.jsonl", lines), (Found{"a|3", "b|"}));
  EXPECT_EQ(read("p.csv", "Prompts,Category\na dog,x\n"), (Found{"a dog|x"}));
}

TEST(PromptFiles, OtherFormatsAreRefusedWithTheKnownOnes) {
  const std::map<std::string, std::string> others = {
      {"a.txt", "[\"a red circle\",\"a blue square\"]"},
      {"b.txt", "['a red circle', 'a blue square']"},
      {"c.txt", "[\n\"a red circle\"\n]"},
      {"d.txt", "{\"prompt\": \"a red circle\"}"},
      {"e.txt", "prompt,category\na red circle,one\n"},
      {"f.txt", "Prompt\na red circle\n"},
      {"g.txt", "- a red circle\n- a blue square\n"},
      {"h.txt", "<html>\n"},
      {"i.txt", "---\nprompts:\n"},
      {"j.yaml", "- a red circle\n"},
      {"k.parquet", "text"},
      {"l.txt", "PAR1 and more"},
      {"m.jsonl", "PK\x03\x04"},
      {"n.json", "{\"prompts\": [\"a red circle\"]}"},
      {"o.json", "\"a red circle\""}};
  for (const auto& [name, content] : others) {
    expect_parts(read_error(name, content), {name, ".jsonl", ".csv"});
    EXPECT_THROW(read(name, content), UsageError) << name;
  }
}

TEST(PromptFiles, TextInOtherEncodingsIsRefusedByItsLine) {
  for (const std::string name : {"x.txt", "x.json", "x.jsonl", "x.csv"}) {
    expect_parts(read_error(name, "prompt\na caf\xE9\n"),
                 {name + ":2:", "0xE9", "UTF-8"});
    expect_parts(read_error(name, std::string("a\n\nb\0c", 6)),
                 {name + ":3:", "byte 0"});
    expect_parts(read_error(name, "\xFF\xFEp"), {name, "UTF-16"});
  }
}

TEST(PromptFiles, MistakesInTablesAndListsAreNamed) {
  expect_parts(read_error("x.csv", "a red circle\na blue square\n"),
               {"x.csv:1:", "no column", "a red circle"});
  expect_parts(read_error("x.csv", "prompt,tag\n\na,b,c\n"),
               {"x.csv:3:", "3 cells", "2 columns"});
  expect_parts(read_error("x.csv", "prompt,tag\n\"a\nb\",c\n\"d,e\n"),
               {"x.csv:4:", "not closed"});
  expect_parts(read_error("x.csv", "\n\na red circle\n"), {"x.csv:3:"});
  expect_parts(read_error("x.tsv", "prompt\ttag\n\"a\tb\nc\"\td\n"),
               {"x.tsv:2:", "ends in line 3", "one line"});
  expect_parts(read_error("x.csv", "prompt,tag\na,b\n,c\n"),
               {"x.csv:3:", "empty"});
  expect_parts(read_error("x.json", "[\"a\", null]"), {"item 2", "null"});
  expect_parts(read_error("x.json", "[\"a\", \" \"]"), {"item 2", "empty"});
  expect_parts(read_error("x.json", "[\n\"a\",]"), {"x.json:2:", "JSON"});
}

TEST(PromptFiles, NegativePromptsOfTheirOwnAreRefused) {
  const std::map<std::string, std::string> files = {
      {"a.jsonl", "\"a\"\n{\"prompt\": \"b\", \"negative\": \"grey\"}\n"},
      {"b.jsonl", "\"a\"\n{\"prompt\": \"b\", \"negative_prompt\": \"grey\"}"},
      {"c.csv", "prompt,negative\nb,grey\n"},
      {"d.tsv", "prompt\tNegative Prompt\nb\tgrey\n"}};
  for (const auto& [name, content] : files) {
    expect_parts(
        read_error(name, content),
        {name + ":2: ", "\"grey\"", "sampling.negative_prompt", "--negative"});
  }
  EXPECT_EQ(
      read("x.json",
           "[{\"prompt\": \"a\", \"negative_prompt\": null, \"negative\": "
           "true}, {\"prompt\": \"b\", \"negative_prompt\": \" \"}]"),
      (Found{"a|", "b|"}));
  EXPECT_EQ(read("x.csv", "prompt,negative_prompt\na,\n"), Found{"a|"});
}

TEST(PromptFiles, EmptyOnesAreRefused) {
  for (const std::string name : {"x.txt", "x.json", "x.jsonl", "x.csv"}) {
    for (const std::string content : {"", "\n \n", "\xEF\xBB\xBF"}) {
      expect_parts(read_error(name, content), {name, "no prompt"});
    }
  }
  expect_parts(read_error("x.json", "[]"), {"x.json", "no prompt"});
  expect_parts(read_error("x.csv", "prompt\n\n"), {"x.csv", "no prompt"});
}

/** What a file of the assets holds: prompts and categories; none: refused. */
struct Holds {
  int64_t prompts = 0;
  size_t categories = 1;
};

TEST(PromptFiles, ThoseOfTheFieldLoad) {
  const char* assets = std::getenv("RSM_ASSETS");
  if (assets == nullptr) GTEST_SKIP() << "RSM_ASSETS names no folder";
  const std::filesystem::path root = assets + std::string("/prompts");
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is missing";
  const std::map<std::string, Holds> known = {
      {"drawbench/test.txt", {1000}},
      {"flow_grpo/dataset/geneval/test_metadata.jsonl", {2212, 6}},
      {"flow_grpo/dataset/geneval_filter_test.py", {}},
      {"flow_grpo/dataset/geneval_unseen_objects/test_metadata.jsonl",
       {1024, 6}},
      {"flow_grpo/dataset/merge_genevaltask.py", {}},
      {"flow_grpo/dataset/ocr/test.txt", {1018}},
      {"geneval/evaluation_metadata.jsonl", {553, 6}},
      {"geneval/generation_prompts.txt", {553}},
      {"geneval/object_names.txt", {80}},
      {"hpsv2/benchmark_anime.json", {800}},
      {"hpsv2/benchmark_concept-art.json", {800}},
      {"hpsv2/benchmark_paintings.json", {800}},
      {"hpsv2/benchmark_photo.json", {800}},
      {"imagereward/test.json", {466}},
      {"parti/PartiPrompts.tsv", {1632, 12}}};
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string path = entry.path().string();
    const auto found = known.find(entry.path().lexically_relative(root));
    ASSERT_NE(found, known.end()) << path << " is new; say what it holds";
    if (found->second.prompts == 0) {
      expect_parts(error_of([&] { read_prompt_file(path); }),
                   {path, "are not read", "known are .txt"});
      continue;
    }
    std::set<std::string> categories;
    const auto prompts = read_prompt_file(path);
    for (const auto& prompt : prompts) categories.insert(prompt.category);
    EXPECT_EQ(std::ssize(prompts), found->second.prompts) << path;
    EXPECT_EQ(categories.size(), found->second.categories) << path;
  }
}

TEST(PromptFiles, WhateverTheFileMistakesAreErrors) {
  const TemporaryFolder folder;
  const std::string content =
      "prompt,tag\n{\"prompt\": \"a\", \"tag\": \"b\"}\n[\"a\"]\n\"a\",b\n";
  int64_t read = 0, refused = 0;
  for (const std::string name : {"x.txt", "x.json", "x.jsonl", "x.csv"}) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      const auto text = mutated(content, seed);
      std::ofstream(folder / name)
          << text.substr(seed % std::max<size_t>(text.size(), 1));
      try {
        read_prompt_file(folder / name);
        ++read;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(read, 25);
  EXPECT_GT(refused, 25);
}

}  // namespace
}  // namespace rsm
