#include "rsm/text/character_map.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/io/protobuf.h"

namespace rsm {
namespace {

constexpr uint32_t kLeaf = 1U << 8, kValue = 1U << 31;

/** A trie of 512 units and texts as a map. */
std::string map_of(const std::vector<uint32_t>& units,
                   const std::string& texts) {
  std::string out = little_endian(units.size() * 4, 4);
  for (const uint32_t unit : units) out += little_endian(unit, 4);
  return out + texts;
}

/** 'A' becomes "a": the root's steps begin at 256; that of 'A' has its leaf
 * where it stands itself but for the lowest bit. */
std::vector<uint32_t> trie() {
  std::vector<uint32_t> units(512, 0);
  units[0] = 256U << 10;
  units[256 ^ 'A'] = 'A' | kLeaf | 1U << 10;
  units[256 ^ 'A' ^ 1] = kValue | 0;
  return units;
}

TEST(CharacterMap, OfOneLetterIsWhole) {
  EXPECT_TRUE(is_character_map(map_of(trie(), std::string("a\0", 2))));
}

TEST(CharacterMap, ThatLeavesItsBytesIsNone) {
  const std::string texts("a\0", 2);
  for (const size_t size : {0, 3, 4, 8, 2051, 2052}) {
    EXPECT_FALSE(is_character_map(map_of(trie(), texts).substr(0, size)))
        << size;
  }
  EXPECT_FALSE(is_character_map(map_of(trie(), "a")));  // no end
  auto far = trie();
  far[0] = 512U << 10;  // the root's steps
  EXPECT_FALSE(is_character_map(map_of(far, texts)));
  far[0] = 257U << 10 | 1U << 9;  // the same, shifted by a byte
  EXPECT_FALSE(is_character_map(map_of(far, texts)));
  auto deep = trie();
  deep[256 ^ 'A'] = 'A' | 1U << 19;  // steps after 'A'
  EXPECT_FALSE(is_character_map(map_of(deep, texts)));
  auto wide = trie();
  wide[256 ^ 'A' ^ 1] = kValue | 2;  // a text behind the last
  EXPECT_FALSE(is_character_map(map_of(wide, texts)));
  EXPECT_FALSE(is_character_map(map_of({}, texts)));
}

TEST(CharacterMap, ThatLeadsInACircleHasAnEnd) {
  auto circle = trie();
  circle[256 ^ 'A'] = 'A' | uint32_t{'A'} << 10;
  EXPECT_TRUE(is_character_map(map_of(circle, std::string(1, '\0'))));
}

}  // namespace
}  // namespace rsm
