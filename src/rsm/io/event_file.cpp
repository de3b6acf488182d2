#include "rsm/io/event_file.h"

#include <array>

#include "rsm/io/png_text.h"
#include "rsm/io/protobuf.h"

namespace rsm {
namespace {

/** Numbers of fields in event.proto and summary.proto. */
enum EventField { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5 };
enum SummaryField { kValue = 1 };
enum ValueField { kTag = 1, kSimpleValue = 2, kImage = 4 };
enum ImageField { kHeight = 1, kWidth = 2, kColourSpace = 3, kEncoded = 4 };

constexpr uint64_t kRgb = 3;  // of Image.colorspace
constexpr const char* kVersion = "brain.Event:2";

constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41, reflected
constexpr uint32_t kMaskDelta = 0xA282EAD8;

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) {
      value = value >> 1 ^ (value & 1 ? kPolynomial : 0);
    }
    table[byte] = value;
  }
  return table;
}

/** As records carry it: a checksum of data that has checksums in it would
 * be a weak one. */
std::string masked_checksum(std::string_view bytes) {
  const uint32_t sum = crc32c(bytes);
  return little_endian((sum >> 15 | sum << 17) + kMaskDelta, 4);
}

std::string scalar_value(const std::string& tag, float number) {
  ProtobufMessage value;
  value.bytes(kTag, tag);
  value.number(kSimpleValue, number);
  return value.data();
}

std::string picture_value(const std::string& tag, const std::string& png) {
  const auto [width, height] = png_size(png);
  ProtobufMessage image, value;
  image.integer(kHeight, height);
  image.integer(kWidth, width);
  image.integer(kColourSpace, kRgb);
  image.bytes(kEncoded, png);
  value.bytes(kTag, tag);
  value.bytes(kImage, image.data());
  return value.data();
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto table = crc_table();
  uint32_t sum = 0xFFFFFFFF;
  for (const char byte : bytes) {
    sum = table[(sum ^ static_cast<unsigned char>(byte)) & 0xFF] ^ sum >> 8;
  }
  return ~sum;
}

std::string framed(std::string_view bytes) {
  const std::string length = little_endian(bytes.size(), 8);
  std::string out = length + masked_checksum(length);
  out += bytes;
  return out += masked_checksum(bytes);
}

std::string event_file_head() {
  ProtobufMessage event;
  event.real(kWallTime, 0);
  event.bytes(kFileVersion, kVersion);
  return framed(event.data());
}

std::string event_record(const EventStep& step) {
  ProtobufMessage summary, event;
  for (const auto& [tag, number] : step.scalars) {
    summary.bytes(kValue, scalar_value(tag, number));
  }
  for (const auto& [tag, png] : step.pictures) {
    summary.bytes(kValue, picture_value(tag, png));
  }
  event.real(kWallTime, step.seconds);
  event.integer(kStep, static_cast<uint64_t>(step.step));
  event.bytes(kSummary, summary.data());
  return framed(event.data());
}

}  // namespace rsm
