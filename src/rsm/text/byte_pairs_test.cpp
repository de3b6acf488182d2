#include "rsm/text/byte_pairs.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace rsm {
namespace {

using Names = std::pair<std::string, std::string>;

/** A vocabulary of random merges of the letters a to c, and their ranks. */
struct RandomPairs {
  BytePairs pairs;
  std::map<Names, int64_t> ranks;

  explicit RandomPairs(std::mt19937_64& random) {
    std::vector<std::string> tokens;
    const auto add = [&](const std::string& token) {
      const auto id = static_cast<int64_t>(pairs.ids.size());
      if (pairs.ids.emplace(token, id).second) tokens.push_back(token);
    };
    for (const std::string letter : {"a", "b", "c"}) {
      add(letter);
      add(letter + kWordEnd);
    }
    while (ranks.size() < 40) {
      const auto any = [&] { return tokens[random() % tokens.size()]; };
      const Names names = {any(), any()};
      if (names.first.ends_with(kWordEnd) || ranks.contains(names)) continue;
      add(names.first + names.second);
      ranks[names] = static_cast<int64_t>(ranks.size());
      pairs.add_merge(names.first, names.second);
    }
  }

  /** The definition: lowest rank, leftmost first, one at a time. */
  std::vector<int64_t> encode(const std::string& word) const {
    std::vector<std::string> parts;
    for (const char letter : word) parts.emplace_back(1, letter);
    if (!parts.empty()) parts.back() += kWordEnd;
    while (true) {
      size_t place = parts.size();
      int64_t lowest = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = ranks.find({parts[i], parts[i + 1]});
        if (found == ranks.end()) continue;
        if (place == parts.size() || found->second < lowest) {
          place = i;
          lowest = found->second;
        }
      }
      if (place == parts.size()) break;
      parts[place] += parts[place + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
    std::vector<int64_t> ids;
    for (const auto& part : parts) ids.push_back(pairs.ids.at(part));
    return ids;
  }
};

TEST(BytePairs, MergeByRankThenFromTheLeft) {
  std::mt19937_64 random(1);
  for (int vocabulary = 0; vocabulary < 20; ++vocabulary) {
    const RandomPairs some(random);
    for (int i = 0; i < 50; ++i) {
      std::string word;
      for (size_t length = random() % 60; word.size() < length;) {
        word += static_cast<char>('a' + random() % 3);
      }
      ASSERT_EQ(some.pairs.encode(word), some.encode(word)) << word;
    }
  }
}

// A million letters: a search of the whole word for each merge has no end.
TEST(BytePairs, OfAWordWithoutEndAreMergedToo) {
  BytePairs pairs;
  pairs.ids = {{"a", 0}, {"aa", 1}, {"aaaa", 2}, {"a</w>", 3}};
  pairs.add_merge("a", "a");
  pairs.add_merge("aa", "aa");
  std::vector<int64_t> expected(250'000, 2);
  expected.push_back(3);
  EXPECT_EQ(pairs.encode(std::string(1'000'001, 'a')), expected);
}

}  // namespace
}  // namespace rsm
