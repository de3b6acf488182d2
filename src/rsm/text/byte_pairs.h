#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rsm {

/** GPT-2's printable stand-ins (UTF-8) for the 256 bytes, in the order of
 * their ids: printable bytes first, each as itself, then the others.
 * Source: Radford et al. 2019, GPT-2's encoder.py, bytes_to_unicode. */
const std::vector<std::string>& byte_symbols();

/** Ends the last symbol of every word. */
inline constexpr const char* kWordEnd = "</w>";

/** A byte-pair vocabulary as CLIP has it: tokens by name, and which neighbours
 * merge, in order of rank. */
class BytePairs {
 public:
  std::unordered_map<std::string, int64_t> ids;
  int64_t unknown = 0;  ///< stands for a symbol that `ids` doesn't have

  /** Adds a merge behind all others (in place of an earlier one of the same
   * pair). False, and nothing done, where `ids` lacks one of the tokens or
   * what they make. */
  bool add_merge(const std::string& left, const std::string& right);

  /** The tokens of one word: its bytes' symbols, merged by lowest rank, the
   * leftmost first, until no merge is left. n log n steps for n bytes. */
  std::vector<int64_t> encode(const std::string& word) const;

 private:
  /** Merges neighbours in place. */
  void merge(std::vector<int64_t>& ids) const;

  struct Merge {
    int64_t rank;
    int64_t id;
  };
  using Pair = std::pair<int64_t, int64_t>;
  struct PairHash {
    size_t operator()(const Pair& pair) const;
  };
  std::unordered_map<Pair, Merge, PairHash> merges_;
  int64_t next_rank_ = 0;
};

}  // namespace rsm
