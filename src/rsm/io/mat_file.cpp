#include "rsm/io/mat_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

constexpr size_t kMatHeader = 128;  // bytes
constexpr size_t kMatTag = 8;       // bytes
// Types of elements, and the class of an array of float64.
constexpr uint32_t kInt8 = 1, kInt32 = 5, kUint32 = 6, kDouble = 9;
constexpr uint32_t kMatrix = 14, kCompressed = 15;
constexpr uint32_t kDoubleClass = 6, kComplexFlag = 0x0800;

/** A type and its bytes. */
struct Element {
  uint32_t type = 0;
  std::string_view data;
};

uint32_t word_at(std::string_view bytes, size_t place) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + place, sizeof(word));
  return word;
}

/** Takes elements off the front. */
class Elements {
 public:
  Elements(const std::string& path, std::string_view bytes)
      : path_(path), bytes_(bytes) {}

  bool any() const { return !bytes_.empty(); }

  Element next() {
    need(kMatTag);
    const uint32_t first = word_at(bytes_, 0);
    const uint32_t small = first >> 16;
    if (small != 0) {  // up to four bytes, within the tag
      RSM_CHECK(small <= 4, "[mat] ", path_, " has an element of ", small,
                " bytes in a tag that holds 4; it is damaged: copy it again");
      const Element out = {first & 0xffff, bytes_.substr(4, small)};
      bytes_.remove_prefix(kMatTag);
      return out;
    }
    const size_t size = word_at(bytes_, 4);
    bytes_.remove_prefix(kMatTag);
    need(size);
    const Element out = {first, bytes_.substr(0, size)};
    // Elements begin at multiples of 8; the last one's padding may be missing.
    const size_t padded = first == kCompressed ? size : (size + 7) / 8 * 8;
    bytes_.remove_prefix(std::min(padded, bytes_.size()));
    return out;
  }

 private:
  void need(size_t size) const {
    RSM_CHECK(bytes_.size() >= size, "[mat] ", path_,
              " ends amid an element; it is cut off: copy it again");
  }

  const std::string& path_;
  std::string_view bytes_;
};

/** Adds a matrix of float64; passes over any other array. */
void read_matrix(const std::string& path, std::string_view bytes,
                 std::map<std::string, torch::Tensor>& out) {
  Elements parts(path, bytes);
  if (!parts.any()) return;
  const auto flags = parts.next();
  if (flags.type != kUint32 || flags.data.size() < 8) return;
  const uint32_t kind = word_at(flags.data, 0);
  if ((kind & 0xff) != kDoubleClass || (kind & kComplexFlag) != 0) return;
  const auto shape = parts.next();
  if (shape.type != kInt32 || shape.data.size() != 8) return;  // not of 2
  const auto name = parts.next();
  if (name.type != kInt8) return;
  const auto numbers = parts.next();
  if (numbers.type != kDouble) return;  // whole numbers, packed
  const int64_t rows = word_at(shape.data, 0);
  const int64_t columns = word_at(shape.data, 4);
  const auto count = static_cast<int64_t>(numbers.data.size() / 8);
  RSM_CHECK(rows * columns == count, "[mat] ", path, ": ", name.data, " is ",
            rows, " x ", columns, " and has ", count,
            " numbers; it is damaged: copy it again");
  const auto columns_first = at::empty({columns, rows}, at::kDouble);
  std::memcpy(columns_first.mutable_data_ptr<double>(), numbers.data.data(),
              numbers.data.size() / 8 * 8);
  out[std::string(name.data)] = columns_first.t().contiguous();
}

}  // namespace

std::map<std::string, torch::Tensor> read_mat(const std::string& path) {
  const std::string bytes = read_file(path);
  const bool is_mat = bytes.size() >= kMatHeader &&
                      bytes.compare(0, 10, "MATLAB 5.0") == 0 &&
                      bytes.compare(124, 4, std::string("\x00\x01IM", 4)) == 0;
  RSM_CHECK(is_mat, "[mat] ", path,
            " is no little-endian MATLAB 5 file; write it by scipy.io.savemat, "
            "or by MATLAB's save -v6");
  std::map<std::string, torch::Tensor> out;
  Elements elements(path, std::string_view(bytes).substr(kMatHeader));
  while (elements.any()) {
    const auto element = elements.next();
    RSM_CHECK(element.type != kCompressed, "[mat] ", path,
              " is compressed; write it by scipy.io.savemat(..., "
              "do_compression=False), or by MATLAB's save -v6");
    if (element.type == kMatrix) read_matrix(path, element.data, out);
  }
  return out;
}

}  // namespace rsm
