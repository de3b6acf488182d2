// Files of anybody's are read or refused, whatever stands in them.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "fuzz/targets.h"
#include "rsm/io/files.h"
#include "rsm/models/mutation_testing.h"

namespace rsm {
namespace {

using Random = std::mt19937_64;

/** What has stood where it should not. */
constexpr std::array kWords = {"-1",
                               "0",
                               "18446744073709551615",
                               "9223372036854775808",
                               "1e999",
                               "NaN",
                               "-0.0",
                               "null",
                               "[]",
                               "{}",
                               "\"",
                               "\\",
                               "\\u0000",
                               "\xff",
                               ": ",
                               "../",
                               "\n",
                               "[[[[[[[[[[[[[[[[",
                               "1e308",
                               "true",
                               "64KB",
                               "1 #",
                               "&a *a",
                               "|",
                               "\r\n"};

/** Replaces, removes, repeats or inserts a few bytes. */
std::string edited(std::string text, Random& random) {
  for (auto edits = 1 + random() % 3; edits > 0; --edits) {
    const size_t at = random() % (text.size() + 1);
    const size_t length = std::min<size_t>(1 + random() % 12, text.size() - at);
    switch (random() % 4) {
      case 0:
        text.replace(at, length, kWords[random() % kWords.size()]);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      default:
        text.insert(at, 1, static_cast<char>(random() % 256));
    }
  }
  return text;
}

class Fuzz : public testing::TestWithParam<std::string> {
 protected:
  const fuzz::Target& target_ = fuzz::find_target(GetParam());
};

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& target : fuzz::targets()) out.push_back(target.name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(, Fuzz, testing::ValuesIn(names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Fuzz, SeedsAreTaken) {
  const auto seeds = target_.seeds();
  EXPECT_FALSE(seeds.empty());
  for (const auto& seed : seeds) {
    EXPECT_NO_THROW(target_.load(seed)) << seed.substr(0, 600);
  }
}

TEST_P(Fuzz, WhateverComesIsTakenOrRefusedByAnErrorOfOurs) {
  Random random(5);
  const auto seeds = target_.seeds();
  int64_t refused = 0;
  for (int64_t i = 0; i < target_.tries; ++i) {
    const auto& seed = seeds[random() % seeds.size()];
    const auto rest = seed.substr(target_.selector);
    const auto input =
        seed.substr(0, target_.selector) +
        (random() % 2 == 0 ? mutated(rest, random) : edited(rest, random));
    expect_error_or_none(
        [&] {
          try {
            target_.load(input);
          } catch (const Error&) {
            ++refused;
            throw;
          }
        },
        input);
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, target_.tries / 20);
}

TEST(Fuzzers, AreBuiltForEveryTarget) {
  const auto listed =
      read_file(std::string(RSM_SOURCE_DIR) + "/CMakeLists.txt");
  const size_t begin = listed.find("set(fuzz_targets");
  ASSERT_NE(begin, std::string::npos);
  const auto all = listed.substr(begin, listed.find(')', begin) - begin) + " ";
  for (const auto& name : names()) {
    const bool there = all.find(" " + name + " ") != std::string::npos ||
                       all.find(" " + name + "\n") != std::string::npos;
    EXPECT_TRUE(there) << name;
  }
}

}  // namespace
}  // namespace rsm
