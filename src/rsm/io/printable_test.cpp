#include "rsm/io/printable.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "rsm/base/random.h"

namespace rsm {
namespace {

TEST(Printable, KeepsTextAndWritesOutTheRest) {
  for (const std::string text : {"", "a red circle",
                                 "gr\xc3\xb6\xc3\x9f"
                                 "er\n\t\xf0\x9f\x98\x80"}) {
    EXPECT_EQ(printable(text, 100), text);
  }
  EXPECT_EQ(printable(std::string("a\0b", 3), 100), "a\\x00b");
  EXPECT_EQ(printable("\x1b[31mred\r\x7f", 100), "\\x1b[31mred\\x0d\\x7f");
  EXPECT_EQ(printable("\xff\xc3", 100), "\\xff\\xc3");
  EXPECT_EQ(printable("\xc0\xaf", 100), "\\xc0\\xaf");  // a slash, overlong
  EXPECT_EQ(printable("\xc2\x9b", 100), "\\xc2\\x9b");  // a control, C1
  EXPECT_EQ(printable("\xe2\x82", 100), "\\xe2\\x82");  // cut off
}

TEST(Printable, CutsBetweenLetters) {
  EXPECT_EQ(printable("12345", 5), "12345");
  EXPECT_EQ(printable("12345", 4), "1234...");
  EXPECT_EQ(printable("\xc3\xb6\xc3\xb6", 3), "\xc3\xb6...");
}

TEST(Printable, IsUtf8WhateverCame) {
  for (int64_t seed = 0; seed < 50; ++seed) {
    std::string bytes;
    for (const int64_t i : counted_permutation(seed, 256)) {
      bytes += static_cast<char>(i);
    }
    EXPECT_NO_THROW(nlohmann::json(printable(bytes, 200)).dump());
  }
}

}  // namespace
}  // namespace rsm
