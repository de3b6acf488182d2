#include "rsm/text/character_map.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace rsm {
namespace {

constexpr uint32_t kLabels = 256;

/** A unit of the array. */
struct Unit {
  uint32_t bits;

  bool has_leaf() const { return (bits >> 8 & 1) == 1; }
  /** Of a leaf. */
  uint32_t value() const { return bits & 0x7FFFFFFF; }
  /** Of a leaf it is none that a byte could be. */
  uint32_t label() const { return bits & 0x800000FF; }
  uint32_t offset() const { return bits >> 10 << ((bits & 0x200) >> 6); }
};

/** Whether all that can be reached lies in the trie, values in `texts` bytes.
 */
bool is_closed(const std::vector<Unit>& units, size_t texts) {
  std::vector<bool> seen(units.size(), false);
  std::vector<uint32_t> open = {0};
  seen[0] = true;
  while (!open.empty()) {
    const uint32_t node = open.back();
    open.pop_back();
    const uint32_t first = node ^ units[node].offset();
    if ((first | (kLabels - 1)) >= units.size()) return false;
    if (units[node].has_leaf() && units[first].value() >= texts) return false;
    for (uint32_t label = 0; label < kLabels; ++label) {
      const uint32_t next = first ^ label;
      if (units[next].label() != label || seen[next]) continue;
      seen[next] = true;
      open.push_back(next);
    }
  }
  return true;
}

}  // namespace

bool is_character_map(std::string_view bytes) {
  uint32_t size = 0;
  if (bytes.size() <= sizeof(size)) return false;
  std::memcpy(&size, bytes.data(), sizeof(size));  // little-endian, as we are
  bytes.remove_prefix(sizeof(size));
  if (size >= bytes.size() || size < sizeof(Unit) || size % sizeof(Unit) != 0) {
    return false;
  }
  std::vector<Unit> units(size / sizeof(Unit));
  std::memcpy(units.data(), bytes.data(), size);
  const auto texts = bytes.substr(size);
  return texts.back() == '\0' && is_closed(units, texts.size());
}

}  // namespace rsm
