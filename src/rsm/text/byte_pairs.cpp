#include "rsm/text/byte_pairs.h"

#include <array>
#include <functional>
#include <queue>
#include <tuple>

#include "rsm/text/clip_words.h"

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
  merge(out);
  return out;
}

// A queue of the merges that neighbours allow. A merge makes those of its two
// neighbours stale: they stay in the queue and are known by their pair.
void BytePairs::merge(std::vector<int64_t>& ids) const {
  constexpr int64_t kGone = -1;
  const size_t size = ids.size();
  std::vector<size_t> before(size), after(size);
  for (size_t i = 0; i < size; ++i) {
    before[i] = i - 1;  // of the first: never asked for
    after[i] = i + 1;
  }
  struct Candidate {
    int64_t rank;
    size_t place;
    Pair pair;
    int64_t id;
    bool operator>(const Candidate& other) const {
      return std::tie(rank, place) > std::tie(other.rank, other.place);
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](size_t place) {
    if (after[place] >= size) return;
    const Pair pair = {ids[place], ids[after[place]]};
    const auto found = merges_.find(pair);
    if (found == merges_.end()) return;
    queue.push({found->second.rank, place, pair, found->second.id});
  };
  for (size_t i = 0; i < size; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const size_t next = after[best.place];
    if (ids[best.place] != best.pair.first || next >= size ||
        ids[next] != best.pair.second) {
      continue;
    }
    ids[best.place] = best.id;
    ids[next] = kGone;
    after[best.place] = after[next];
    if (after[next] < size) before[after[next]] = best.place;
    offer(best.place);
    if (best.place > 0) offer(before[best.place]);
  }
  std::erase(ids, kGone);
}

}  // namespace rsm
