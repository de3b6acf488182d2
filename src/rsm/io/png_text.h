#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm {

/** Keywords and texts that a PNG file carries beside its pixels, in the file's
 * order; both in UTF-8. */
using PngTexts = std::vector<std::pair<std::string, std::string>>;

/** The file's bytes with these texts before its pixels: tEXt chunks where a
 * text is ASCII, else iTXt, uncompressed. Keywords have 1 to 79 printable ASCII
 * characters, with single spaces within; texts are UTF-8 without zero bytes.
 * Throws rsm::Error where one is not, or `png` does not begin as encode_png's
 * result does. Source: PNG specification, third edition, 11.3.3. */
std::string with_png_texts(std::string_view png, const PngTexts& texts);

/** Those of a PNG file, of any program: tEXt (whose Latin-1 becomes UTF-8) and
 * iTXt, wherever they stand. Compressed ones (zTXt, of iTXt some) are passed
 * over. Throws rsm::Error naming the file where it is no PNG file, ends early,
 * or has a damaged text. */
PngTexts read_png_texts(const std::string& path);

struct PngSize {
  uint32_t width = 0, height = 0;  ///< pixels
};

/** What the header of a PNG file's bytes says. Throws rsm::Error where they
 * begin otherwise. */
PngSize png_size(std::string_view png);

}  // namespace rsm
