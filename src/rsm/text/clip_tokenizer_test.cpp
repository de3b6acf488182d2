#include "rsm/text/clip_tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::vector<std::string> kWords = {
    "a",     "and",    "circle", "square",  "triangle", "cross",  "red",
    "green", "yellow", "left",   "right",   "of",       "above",  "two",
    "three", "banana", "nana",   "bananas", "icicle",   "aaaaaa", "aaa",
    "ricks", "oric",   "ch",     "tech",    "technique"};

/** A folder of its own, gone with the object. */
class Folder {
 public:
  Folder() {
    std::string name = fs::temp_directory_path() / "clip_tokenizer_XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

std::string thrown(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

void expect_ids_of(const std::string& folder, const json& texts,
                   const std::string& ids_path) {
  const auto tokenizer = ClipTokenizer::load(folder);
  const auto expected = read_json(ids_path);
  ASSERT_EQ(texts.size(), expected.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(texts[i].get<std::string>()),
              expected[i].get<std::vector<int64_t>>())
        << folder << ": text " << i << " " << texts[i];
  }
}

TEST(ClipTokenizer, GivesTheIdsOfTransformers) {
  const std::string python = RSM_SOURCE_DIR "/.venv-test/bin/python";
  ASSERT_TRUE(fs::exists(python)) << python << " is missing: make setup-tests";
  const Folder out;
  write_word_vocabulary(out / "words", kWords, 16);
  const std::string command =
      python + " " RSM_SOURCE_DIR "/tests/python/clip_tokenizer_peer.py " +
      (out / "") + " " + (out / "words");
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const json texts = read_json(out / "texts.json");
  ASSERT_EQ(texts.size(), 1000u);
  for (const char* kind :
       {"words", "clip_l", "clip_l_alone", "clip_g", "sd3_second", "added",
        "short", "bare", "legacy", "legacy_unified", "options", "clip_l_saved",
        "sd3_second_saved", "added_saved"}) {
    expect_ids_of(out / kind, texts, out / (std::string(kind) + ".json"));
  }
}

TEST(WordVocabulary, MakesEachWordOneToken) {
  std::mt19937_64 random(1);
  std::set<std::string> words(kWords.begin(), kWords.end());
  while (words.size() < 400) {  // of few letters: words in words in words
    std::string word;
    for (size_t length = 1 + random() % 9; word.size() < length;) {
      word += static_cast<char>('a' + random() % 4);
    }
    words.insert(word);
  }
  std::vector<std::string> order(words.begin(), words.end());
  for (size_t i = order.size() - 1; i > 0; --i) {
    std::swap(order[i], order[random() % (i + 1)]);
  }
  const Folder out;
  write_word_vocabulary(out / "words", order, 77);
  const auto tokenizer = ClipTokenizer::load(out / "words");
  std::set<int64_t> seen;
  for (const auto& word : order) {
    const auto ids = tokenizer.tokens(word);
    EXPECT_EQ(ids.size(), 1u) << word;
    EXPECT_TRUE(seen.insert(ids[0]).second) << word;
  }
  EXPECT_EQ(tokenizer.vocabulary_size(), tokenizer.end_id() + 1);
  EXPECT_EQ(tokenizer.pad_id(), tokenizer.end_id());
}

TEST(WordVocabulary, IsTheSameFilesForTheSameWords) {
  const Folder out;
  write_word_vocabulary(out / "first", kWords, 16);
  write_word_vocabulary(out / "second", kWords, 16);
  for (const char* name :
       {"/vocab.json", "/merges.txt", "/special_tokens_map.json",
        "/tokenizer_config.json"}) {
    EXPECT_EQ(read_file((out / "first") + name),
              read_file((out / "second") + name));
  }
}

TEST(WordVocabulary, RefusesWhatIsNotALowerCaseWord) {
  const Folder out;
  for (const char* word : {"", "Red", "two words", "x2", "caf\u00e9"}) {
    EXPECT_NE(thrown([&] {
                write_word_vocabulary(out / "words", {word}, 16);
              }).find("letters a to z"),
              std::string::npos);
  }
  EXPECT_NE(thrown([&] {
              write_word_vocabulary(out / "words", {"a"}, 1);
            }).find("model_max_length 1"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(out / "words"));
}

TEST(ClipTokenizer, BatchesAreItsEncodingsAsRows) {
  const Folder out;
  write_word_vocabulary(out / "words", kWords, 6);
  const auto tokenizer = ClipTokenizer::load(out / "words");
  const auto batch = tokenizer.encode_batch({"a red circle", "",
                                             "red red red "
                                             "red red red red"});
  ASSERT_EQ(batch.sizes(), (std::vector<int64_t>{3, 6}));
  ASSERT_EQ(batch.scalar_type(), torch::kLong);
  const int64_t start = tokenizer.start_id();
  const int64_t end = tokenizer.end_id();
  const int64_t red = tokenizer.tokens("red")[0];
  const auto row = [&](int64_t i) {
    const auto ids = batch[i].contiguous();
    return std::vector<int64_t>(ids.data_ptr<int64_t>(),
                                ids.data_ptr<int64_t>() + 6);
  };
  EXPECT_EQ(row(0), tokenizer.encode("a red circle"));
  EXPECT_EQ(row(1), (std::vector<int64_t>{start, end, end, end, end, end}));
  EXPECT_EQ(row(2), (std::vector<int64_t>{start, red, red, red, red, end}));
  EXPECT_EQ(tokenizer.encode_batch({}).sizes(), (std::vector<int64_t>{0, 6}));
}

TEST(ClipTokenizer, WithoutALengthTakesTheTextEncoders) {
  const Folder out;
  const std::string path = out / "words/tokenizer_config.json";
  for (const char* length :
       {"", "\"model_max_length\": null", "\"model_max_length\": 1e30",
        "\"model_max_length\": "
        "1000000000000000019884624838656"}) {
    write_word_vocabulary(out / "words", kWords, 6);
    write_file_atomic(path, cat("{", length, "}"));
    EXPECT_EQ(ClipTokenizer::load(out / "words", 77).max_length(), 77);
    EXPECT_NE(thrown([&] {
                ClipTokenizer::load(out / "words");
              }).find("model_max_length is"),
              std::string::npos);
  }
  write_file_atomic(path, "{\"model_max_length\": 6}");
  EXPECT_EQ(ClipTokenizer::load(out / "words", 77).max_length(), 6);
}

TEST(ClipTokenizer, KnowsWhichTextsItCuts) {
  const Folder out;
  write_word_vocabulary(out / "words", kWords, 6);
  const auto tokenizer = ClipTokenizer::load(out / "words");
  EXPECT_FALSE(tokenizer.cuts(""));
  EXPECT_FALSE(tokenizer.cuts("red red red red"));
  EXPECT_TRUE(tokenizer.cuts("red red red red red"));
  EXPECT_EQ(tokenizer.encode("red red red red red"),
            tokenizer.encode("red red red red"));
}

TEST(ClipTokenizer, RefusesTextThatIsNotUtf8) {
  const Folder out;
  write_word_vocabulary(out / "words", kWords, 6);
  const auto tokenizer = ClipTokenizer::load(out / "words");
  for (const char* text : {"caf\xe9", "\xff", "\xed\xa0\x80", "a \xc3"}) {
    EXPECT_NE(thrown([&] { tokenizer.encode(text); }).find("not UTF-8"),
              std::string::npos);
  }
}

TEST(ClipTokenizer, NamesFileAndKeyOfABrokenFolder) {
  struct Break {
    const char* file;
    const char* content;
    const char* said;
  };
  const std::vector<Break> breaks = {
      {"tokenizer_config.json", "{}", "model_max_length is null"},
      {"tokenizer_config.json", "[]", "tokenizer_config.json holds: array"},
      {"tokenizer_config.json",
       R"({"model_max_length": 8, "truncation_side": "left"})",
       "truncation_side is \"left\""},
      {"tokenizer_config.json",
       R"({"model_max_length": 8, "split_special_tokens": true})",
       "split_special_tokens is true"},
      {"tokenizer_config.json",
       R"({"model_max_length": 8, "tokenizer_class": "T5Tokenizer"})",
       "tokenizer_class is \"T5Tokenizer\""},
      {"tokenizer_config.json",
       R"({"model_max_length": 8, "image_token": "<image>"})",
       "image_token is"},
      {"added_tokens.json", R"(["<x>"])", "added_tokens.json holds"},
      {"added_tokens.json", R"({"<x>": "a"})", "id of \"<x>\""},
      {"added_tokens.json", R"({"<x>": 9999})", "the next one, "},
      {"tokenizer.json", R"({"model": 3})",
       "tokenizer.json: model holds: number"},
      {"tokenizer.json", R"({"model": {"vocab": {}, "merges": [3]}})",
       "a merge is 3"},
      {"tokenizer.json",
       R"({"model": {"vocab": {}, "merges": []}, "added_tokens": 1})",
       "added_tokens is 1"},
      {"tokenizer_config.json", R"({"model_max_length": 1e30})",
       "model_max_length is 1e+30"},
      {"tokenizer_config.json",
       R"({"model_max_length": 8, "additional_special_tokens": ["<x>"]})",
       "additional_special_tokens"},
      {"tokenizer_config.json",
       R"({"model_max_length": 8, "added_tokens_decoder": {"x": "<x>"}})",
       "added_tokens_decoder.x is"},
      {"special_tokens_map.json", R"({"pad_token": "<pad>"})", "<pad>"},
      {"special_tokens_map.json", R"({"pad_token": 3})", "pad_token is 3"},
      {"special_tokens_map.json",
       R"({"pad_token": {"content": "!", "lstrip": true}})", "lstrip"},
      {"vocab.json", "[]", "vocab.json"},
      {"vocab.json", R"({"a": -1})", "vocab.json: \"a\" is -1"},
      {"merges.txt", "#version: 0.2\na b c\n", "merges.txt:2"},
      {"merges.txt", "#version: 0.2\na n\nx yz\n", "merges.txt:3"},
  };
  const Folder out;
  for (const auto& [file, content, said] : breaks) {
    fs::remove_all(out / "words");
    write_word_vocabulary(out / "words", {"and"}, 16);
    write_file_atomic(out / (std::string("words/") + file), content);
    const auto message = thrown([&] { ClipTokenizer::load(out / "words"); });
    EXPECT_NE(message.find(said), std::string::npos)
        << content << ": " << message;
  }
  EXPECT_NE(thrown([&] {
              ClipTokenizer::load(out / "none");
            }).find("tokenizer_config.json"),
            std::string::npos);
}

}  // namespace
}  // namespace rsm
