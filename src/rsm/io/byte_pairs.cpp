#include "rsm/io/byte_pairs.h"

#include <array>
#include <cstddef>

#include "rsm/io/clip_words.h"

namespace rsm {
namespace {

bool printable(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
         byte >= 174;
}

/** The symbol of each byte, by the byte's value. */
const std::array<std::string, 256>& symbol_of_byte() {
  static const auto symbols = [] {
    std::array<std::string, 256> out;
    char32_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const auto symbol =
          printable(byte) ? static_cast<char32_t>(byte) : next++;
      out[static_cast<size_t>(byte)] = to_utf8({symbol});
    }
    return out;
  }();
  return symbols;
}

}  // namespace

const std::vector<std::string>& byte_symbols() {
  static const auto symbols = [] {
    std::vector<std::string> out;
    for (const bool wanted : {true, false}) {
      for (int byte = 0; byte < 256; ++byte) {
        if (printable(byte) == wanted) {
          out.push_back(symbol_of_byte()[static_cast<size_t>(byte)]);
        }
      }
    }
    return out;
  }();
  return symbols;
}

size_t BytePairs::PairHash::operator()(const Pair& pair) const {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
  return std::hash<uint64_t>()(static_cast<uint64_t>(pair.first) * kOdd +
                               static_cast<uint64_t>(pair.second));
}

bool BytePairs::add_merge(const std::string& left, const std::string& right) {
  const auto a = ids.find(left);
  const auto b = ids.find(right);
  const auto both = ids.find(left + right);
  if (a == ids.end() || b == ids.end() || both == ids.end()) return false;
  merges_[{a->second, b->second}] = {next_rank_++, both->second};
  return true;
}

std::vector<int64_t> BytePairs::encode(const std::string& word) const {
  std::vector<int64_t> out;
  for (size_t i = 0; i < word.size(); ++i) {
    auto symbol = symbol_of_byte()[static_cast<unsigned char>(word[i])];
    if (i + 1 == word.size()) symbol += kWordEnd;
    const auto found = ids.find(symbol);
    out.push_back(found == ids.end() ? unknown : found->second);
  }
  while (true) {
    const Merge* best = nullptr;
    size_t place = 0;
    for (size_t i = 0; i + 1 < out.size(); ++i) {
      const auto found = merges_.find({out[i], out[i + 1]});
      if (found == merges_.end()) continue;
      if (best == nullptr || found->second.rank < best->rank) {
        best = &found->second;
        place = i;
      }
    }
    if (best == nullptr) return out;
    out[place] = best->id;
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

}  // namespace rsm
