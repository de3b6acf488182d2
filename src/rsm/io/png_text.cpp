#include "rsm/io/png_text.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
/** Length, name and checksum around a chunk's data. */
constexpr size_t kFrame = 4 + 4 + 4;
/** The signature and IHDR, which every file begins with. */
constexpr size_t kHeader = 8 + kFrame + 13;
constexpr uint32_t kMostLength = (uint32_t{1} << 31) - 1;

std::string big_endian(uint32_t value) {
  std::string out;
  for (const int shift : {24, 16, 8, 0}) {
    out += static_cast<char>(value >> shift & 0xff);
  }
  return out;
}

uint32_t read_big_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) {
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

/** Of a chunk's name and data. */
uint32_t checksum_of(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()),
            static_cast<uInt>(bytes.size())));
}

std::string chunk(const std::string& name, const std::string& data) {
  RSM_CHECK(data.size() <= kMostLength, "[png] got a text of ", data.size(),
            " bytes; allowed: ", kMostLength);
  const std::string body = name + data;
  return big_endian(static_cast<uint32_t>(data.size())) + body +
         big_endian(checksum_of(body));
}

bool is_keyword(const std::string& word) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  return !word.empty() && word.size() < 80 && word.front() != ' ' &&
         word.back() != ' ' && word.find("  ") == std::string::npos &&
         std::all_of(word.begin(), word.end(), printable);
}

std::string text_chunk(const std::string& keyword, const std::string& text) {
  RSM_CHECK(is_keyword(keyword), "[png] got a text called \"", shown(keyword),
            "\"; allowed: 1 to 79 printable ASCII characters");
  RSM_CHECK(find_not_utf8(text) == std::string::npos &&
                text.find('\0') == std::string::npos,
            "[png] the text \"", keyword, "\" is \"", shown(text),
            "\"; allowed: UTF-8 without zero bytes");
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
  if (ascii) return chunk("tEXt", keyword + '\0' + text);
  // Not compressed, of no language, no translated keyword.
  return chunk("iTXt", keyword + std::string(5, '\0') + text);
}

std::string from_latin1(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3f));
    }
  }
  return out;
}

/** What stands before the next zero byte, which is taken off too. */
std::optional<std::string_view> take_word(std::string_view& data) {
  const size_t end = data.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const auto word = data.substr(0, end);
  data.remove_prefix(end + 1);
  return word;
}

/** Adds what a tEXt or iTXt chunk says; false where it is malformed. */
bool add_text(std::string_view name, std::string_view data, PngTexts& out) {
  const auto keyword = take_word(data);
  if (!keyword) return false;
  if (name == "tEXt") {
    out.emplace_back(from_latin1(*keyword), from_latin1(data));
    return true;
  }
  if (data.size() < 2) return false;
  const bool compressed = data[0] != 0;
  data.remove_prefix(2);
  const bool whole = take_word(data) && take_word(data);  // language, keyword
  if (!whole || compressed) return whole;
  if (find_not_utf8(data) != std::string::npos) return false;
  out.emplace_back(from_latin1(*keyword), data);
  return true;
}

}  // namespace

std::string with_png_texts(std::string_view png, const PngTexts& texts) {
  RSM_CHECK(png.size() > kHeader && png.starts_with(kSignature),
            "[png] texts were given for ", png.size(),
            " bytes that are no PNG file");
  std::string out(png.substr(0, kHeader));
  for (const auto& [keyword, text] : texts) out += text_chunk(keyword, text);
  return out.append(png.substr(kHeader));
}

PngSize png_size(std::string_view png) {
  RSM_CHECK(png.size() > kHeader && png.starts_with(kSignature) &&
                png.substr(kSignature.size() + 4, 4) == "IHDR",
            "[png] ", png.size(), " bytes that are no PNG file were given");
  const auto sizes = png.substr(kSignature.size() + 8);
  return {read_big_endian(sizes), read_big_endian(sizes.substr(4))};
}

PngTexts read_png_texts(const std::string& path) {
  const std::string file = read_file(path);
  std::string_view rest = file;
  RSM_CHECK(rest.starts_with(kSignature), "[png] ", path, " is no PNG file");
  rest.remove_prefix(kSignature.size());
  PngTexts out;
  for (std::string_view name; name != "IEND";) {
    const uint64_t length = rest.size() < kFrame ? 0 : read_big_endian(rest);
    RSM_CHECK(rest.size() >= kFrame + length, "[png] ", path,
              " ends in the middle of its data; a whole PNG file is needed");
    const auto body = rest.substr(4, 4 + length);
    name = body.substr(0, 4);
    if (name == "tEXt" || name == "iTXt") {
      const bool whole =
          checksum_of(body) == read_big_endian(rest.substr(8 + length)) &&
          add_text(name, body.substr(4), out);
      RSM_CHECK(whole, "[png] ", path, " has a damaged text (", name, ")");
    }
    rest.remove_prefix(kFrame + length);
  }
  return out;
}

}  // namespace rsm
