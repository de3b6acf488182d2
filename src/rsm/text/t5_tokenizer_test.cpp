#include "rsm/text/t5_tokenizer.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kFolder =
    "/configs/stabilityai/stable-diffusion-3-medium-diffusers/tokenizer_3";

/** Pieces that make "red", "fox" and single letters, without a character map:
 * a tokenizer.json as transformers 5 saves it. */
json small_tokenizer() {
  json vocab = json::array({{"<pad>", 0},
                            {"</s>", 0},
                            {"<unk>", 0},
                            {"\u2581", -2},
                            {"\u2581red", -3},
                            {"\u2581fox", -3}});
  for (const char* letter : {"r", "e", "d", "f", "o", "x"}) {
    vocab.push_back({letter, -4});
  }
  vocab.push_back({"<extra_id_0>", 0});
  return {{"model",
           {{"type", "Unigram"},
            {"unk_id", 2},
            {"vocab", vocab},
            {"byte_fallback", false}}},
          {"added_tokens",
           {{{"id", 0}, {"content", "<pad>"}, {"normalized", false}},
            {{"id", 1}, {"content", "</s>"}, {"normalized", false}},
            {{"id", 2}, {"content", "<unk>"}, {"normalized", false}},
            {{"id", 12}, {"content", "<extra_id_0>"}, {"normalized", false}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "WhitespaceSplit"}},
              {{"type", "Metaspace"},
               {"replacement", "\u2581"},
               {"prepend_scheme", "always"},
               {"split", true}}}}}}};
}

/** A folder with just this tokenizer.json. */
T5Tokenizer load(const TemporaryFolder& out, const json& tokenizer,
                 int64_t max_length) {
  write_json_atomic(out / "tokenizer.json", tokenizer);
  return T5Tokenizer::load(out.path(), max_length);
}

/** A folder with one file of another. */
std::string alone(const TemporaryFolder& out, const std::string& name,
                  const std::string& from) {
  fs::create_directory(out / name);
  fs::copy_file(from + "/" + name, (out / name) + "/" + name);
  return out / name;
}

TEST(T5Tokenizer, GivesTheIdsOfTransformers) {
  const char* assets = std::getenv("RSM_ASSETS");
  const std::string from = cat(assets == nullptr ? "" : assets, kFolder);
  if (!fs::exists(from)) GTEST_SKIP() << "RSM_ASSETS has no " << kFolder;
  const TemporaryFolder out;
  run_python("t5_tokenizer_peer.py",
             cat(out.path(), " ", from, " ", assets, "/prompts"));
  const auto texts =
      read_json(out / "texts.json").get<std::vector<std::string>>();
  ASSERT_GT(texts.size(), 8000U);
  const auto wanted = read_safetensors(out / "ids.safetensors").tensors;
  for (const auto& folder :
       {from, alone(out, "spiece.model", from),
        alone(out, "tokenizer.json", from), out / "saved"}) {
    for (const auto& [length, ids] : wanted) {
      const auto tokenizer = T5Tokenizer::load(folder, std::stoll(length));
      EXPECT_EQ(tokenizer.vocabulary_size(), 32100);
      const auto found = tokenizer.encode_batch(texts);
      ASSERT_EQ(found.sizes(), ids.sizes());
      const auto wrong = (found != ids).any(1).nonzero();
      EXPECT_EQ(wrong.size(0), 0)
          << folder << ", length " << length << ": " << wrong.size(0)
          << " texts, the first " << json(texts[wrong[0].item<int64_t>()]);
    }
  }
}

TEST(T5Tokenizer, EndsCutsAndPadsItsTexts) {
  const TemporaryFolder out;
  const auto tokenizer = load(out, small_tokenizer(), 4);
  EXPECT_EQ(tokenizer.vocabulary_size(), 13);
  using Ids = std::vector<int64_t>;
  EXPECT_EQ(tokenizer.encode(""), (Ids{1, 0, 0, 0}));
  EXPECT_EQ(tokenizer.encode("  red\tfox\n"), (Ids{4, 5, 1, 0}));
  EXPECT_EQ(tokenizer.encode("red red fox fox"), (Ids{4, 4, 5, 1}));
  EXPECT_FALSE(tokenizer.cuts("red red fox"));
  EXPECT_TRUE(tokenizer.cuts("red red fox fox"));
  const auto batch = tokenizer.encode_batch({"red", "rex"});
  EXPECT_TRUE(batch.equal(
      at::tensor({4, 1, 0, 0, 3, 6, 7, 1}, at::kLong).view({2, 4})));
  EXPECT_EQ(tokenizer.encode_batch({}).sizes(), (Ids{0, 4}));
}

TEST(T5Tokenizer, KnowsItsSpecialTokensInATextAndWhatIsUnknown) {
  const TemporaryFolder out;
  const auto tokenizer = load(out, small_tokenizer(), 4);
  using Ids = std::vector<int64_t>;
  EXPECT_EQ(tokenizer.tokens("red</s>fox"), (Ids{4, 1, 5}));
  EXPECT_EQ(tokenizer.tokens(" <extra_id_0> <pad>"), (Ids{12, 0}));
  EXPECT_EQ(tokenizer.tokens("foxQQ Q"), (Ids{5, 2, 3, 2}));
}

TEST(T5Tokenizer, TakesTextsOfAnyLength) {
  const TemporaryFolder out;
  const auto tokenizer = load(out, small_tokenizer(), 4);
  std::string words;
  for (int i = 0; i < 100'000; ++i) words += "red fox ";
  EXPECT_EQ(tokenizer.tokens(words).size(), 200'000U);
  EXPECT_EQ(tokenizer.tokens(std::string(100'000, 'x')).size(), 100'001U);
}

TEST(T5Tokenizer, RefusesTextThatIsNotUtf8AndLengthsThatAreNone) {
  const TemporaryFolder out;
  const auto tokenizer = load(out, small_tokenizer(), 4);
  for (const char* text : {"caf\xe9", "\xff", "\xed\xa0\x80", "a \xc3"}) {
    expect_parts(error_of([&] { tokenizer.encode(text); }), {"not UTF-8"});
  }
  expect_parts(error_of([&] { T5Tokenizer::load(out.path(), 0); }),
               {"max_length 0"});
}

TEST(T5Tokenizer, NamesFileAndKeyOfABrokenFolder) {
  const std::vector<std::pair<json, std::string>> patches = {
      {{{"model", {{"type", "BPE"}}}}, "model.type is \"BPE\""},
      {{{"model", {{"byte_fallback", true}}}}, "model.byte_fallback is true"},
      {{{"model", {{"unk_id", 99}}}}, "model.unk_id is 99"},
      {{{"model", {{"vocab", {{"a"}}}, {"unk_id", 0}}}}, "model.vocab[0] is"},
      {{{"model",
         {{"vocab", json::array({{"<unk>", 0}, {"a", -1}})}, {"unk_id", 0}}}},
       "no piece is <pad>"},
      {{{"normalizer", {{"type", "NFKC"}}}}, "normalizer: type is \"NFKC\""},
      {{{"normalizer",
         {{"type", "Precompiled"}, {"precompiled_charsmap", "a$b="}}}},
       "normalizer: precompiled_charsmap is"},
      {{{"pre_tokenizer", {{"type", "ByteLevel"}}}},
       "pre_tokenizer: type is \"ByteLevel\""},
      {{{"pre_tokenizer",
         {{"type", "Metaspace"},
          {"replacement", "\u2581"},
          {"prepend_scheme", "first"}}}},
       "prepend_scheme is \"first\""},
      {{{"added_tokens", {{{"content", "<x>"}}}}}, "an added token is"},
      {{{"added_tokens",
         {{{"content", "<x>"}, {"id", 3}, {"normalized", true}}}}},
       "normalized of \"<x>\""},
  };
  for (const auto& [patch, said] : patches) {
    const TemporaryFolder out;
    json tokenizer = small_tokenizer();
    for (const auto& [key, value] : patch.items()) {
      if (key == "model") {
        tokenizer[key].update(value);
      } else {
        tokenizer[key] = value;
      }
    }
    expect_parts(error_of([&] { load(out, tokenizer, 4); }),
                 {"tokenizer.json", said});
  }
}

TEST(T5Tokenizer, NamesWhatOtherFilesOfItsFolderAskFor) {
  const std::vector<std::pair<json, std::string>> configs = {
      {json::array(), "holds: array"},
      {{{"tokenizer_class", "CLIPTokenizer"}}, "tokenizer_class"},
      {{{"padding_side", "left"}}, "padding_side is \"left\""},
      {{{"eos_token", "<end>"}}, "eos_token is \"<end>\""},
      {{{"added_tokens_decoder", {{"x", "<x>"}}}}, "added_tokens_decoder.x"},
  };
  for (const auto& [config, said] : configs) {
    const TemporaryFolder out;
    write_json_atomic(out / "tokenizer_config.json", config);
    expect_parts(error_of([&] { load(out, small_tokenizer(), 4); }),
                 {"tokenizer_config.json", said});
  }
  const TemporaryFolder out;
  expect_parts(error_of([&] { T5Tokenizer::load(out.path(), 4); }),
               {out.path(), "neither a spiece.model nor a tokenizer.json"});
  write_file_atomic(out / "spiece.model", "no model");
  expect_parts(error_of([&] { load(out, small_tokenizer(), 4); }),
               {"spiece.model", "is no SentencePiece model"});
}

// Else sentencepiece writes over c10's flags behind its own (CMakeLists.txt).
TEST(T5Tokenizer, SharesNoFlagWithTorch) {
  Dl_info found{};
  ASSERT_NE(dladdr(dlsym(RTLD_DEFAULT, "FLAGS_minloglevel"), &found), 0);
  expect_parts(found.dli_fname, {"sentencepiece"});
}

}  // namespace
}  // namespace rsm
