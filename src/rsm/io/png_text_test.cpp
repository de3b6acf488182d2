#include "rsm/io/png_text.h"

#include <gtest/gtest.h>

#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

const PngTexts kTexts = {{"parameters", "a red circle\nSteps: 10"},
                         {"empty", ""},
                         {"rsm", "{\"prompts\": [\"zwölf Äpfel 猫 🐱\"]}"}};

torch::Tensor picture() { return torch::full({3, 5, 4}, 0.25); }

std::string file_of(const PngTexts& texts) {
  return with_png_texts(encode_png(picture()), texts);
}

TEST(PngTexts, ReadingGivesWhatWasWrittenAndThePictureStays) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.png";
  write_png(path, picture(), kTexts);
  EXPECT_EQ(read_png_texts(path), kTexts);
  EXPECT_TRUE(
      torch::equal(read_png(path), torch::full({3, 5, 4}, 64, torch::kUInt8)));
  EXPECT_EQ(read_file(path), file_of(kTexts));
  write_png(path, picture());
  EXPECT_TRUE(read_png_texts(path).empty());
}

TEST(PngTexts, AsciiStandsAsEveryProgramReadsIt) {
  const auto file = file_of(kTexts);
  expect_parts(file, {std::string("tEXtparameters\0a red circle", 27),
                      std::string("iTXtrsm\0\0\0\0\0{", 13)});
}

TEST(PngTexts, MalformedFilesAreNamed) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.png";
  const auto file = file_of(kTexts);
  const auto refused = [&](const std::string& bytes) {
    write_file_atomic(path, bytes);
    return error_of([&] { read_png_texts(path); });
  };
  for (size_t size = 0; size < file.size(); size += 7) {
    expect_parts(refused(file.substr(0, size)), {"[png] ", path});
  }
  auto flipped = file;
  flipped[file.find("red circle")] ^= 1;
  expect_parts(refused(flipped), {path, "damaged text", "tEXt"});
  // The checksum is right, and nothing ends the keyword.
  const std::string cut = {'\0', '\0', '\0',   '\1',   't',    'E',   'X',
                           't',  'a',  '\x75', '\xf3', '\x8b', '\x29'};
  expect_parts(refused(file.substr(0, 33) + cut + file.substr(33)),
               {path, "damaged text", "tEXt"});
}

TEST(PngTexts, WhatNoFileCanCarryIsNamed) {
  const auto error = [](const std::string& keyword, const std::string& text) {
    return error_of([&] { file_of({{keyword, text}}); });
  };
  for (const std::string& keyword :
       {std::string(), std::string(80, 'a'), std::string(" a"),
        std::string("a  b"), std::string("ä"), std::string("a\nb")}) {
    expect_parts(error(keyword, "text"), {"[png] ", "1 to 79"});
  }
  expect_parts(error("word", "\xff"), {"\"word\"", "UTF-8"});
  expect_parts(error("word", std::string("a\0b", 3)), {"zero bytes"});
  expect_parts(error_of([] { with_png_texts("GIF89a", kTexts); }),
               {"no PNG file"});
}

}  // namespace
}  // namespace rsm
