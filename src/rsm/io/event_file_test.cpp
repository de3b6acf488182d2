#include "rsm/io/event_file.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "rsm/io/image.h"
#include "rsm/io/png_text.h"
#include "rsm/io/protobuf.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

/** Of RFC 3720, appendix B.4, and the usual check value. */
TEST(EventFile, HasThePublishedChecksums) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(""), 0U);
}

/** As TensorFlow's own writer begins a file, but for the time. */
TEST(EventFile, BeginsWithItsVersion) {
  EXPECT_EQ(hex(event_file_head()),
            "1800000000000000a37f4b22"
            "0900000000000000001a0d627261696e2e4576656e743a32"
            "eedf28a3");
}

TEST(Protobuf, WritesFieldsAsTheFormatSays) {
  ProtobufMessage inner, outer;
  inner.integer(1, 150);  // the example of the format's description
  EXPECT_EQ(hex(inner.data()), "089601");
  outer.bytes(3, inner.data());
  EXPECT_EQ(hex(outer.data()), "1a03089601");
  outer.number(16, 1.0F);
  outer.real(2, -2);
  EXPECT_EQ(hex(outer.data()),
            "1a03089601"
            "85010000803f"
            "1100000000000000c0");
}

TEST(EventFile, PicturesAreWholePngFiles) {
  const auto png = encode_png(torch::zeros({3, 2, 5}));
  const auto size = png_size(png);
  EXPECT_EQ(size.width, 5U);
  EXPECT_EQ(size.height, 2U);
  const auto record = event_record({1, 0, {}, {{"samples", png}}});
  EXPECT_NE(record.find(png), std::string::npos);
  for (const std::string& bytes : {std::string("GIF89a"), png.substr(0, 12)}) {
    expect_parts(error_of([&] {
                   event_record({1, 0, {}, {{"samples", bytes}}});
                 }),
                 {"[png]", "no PNG file"});
  }
}

}  // namespace
}  // namespace rsm
