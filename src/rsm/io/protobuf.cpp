#include "rsm/io/protobuf.h"

#include <bit>

namespace rsm {
namespace {

enum WireType : unsigned { kVarint = 0, kEight = 1, kBytes = 2, kFour = 5 };

}  // namespace

std::string little_endian(uint64_t value, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    out += static_cast<char>(value >> (8 * i) & 0xFF);
  }
  return out;
}

void ProtobufMessage::integer(int field, uint64_t value) {
  key(field, kVarint);
  varint(value);
}

void ProtobufMessage::number(int field, float value) {
  key(field, kFour);
  bytes_ += little_endian(std::bit_cast<uint32_t>(value), 4);
}

void ProtobufMessage::real(int field, double value) {
  key(field, kEight);
  bytes_ += little_endian(std::bit_cast<uint64_t>(value), 8);
}

void ProtobufMessage::bytes(int field, std::string_view value) {
  key(field, kBytes);
  varint(value.size());
  bytes_ += value;
}

void ProtobufMessage::key(int field, unsigned wire_type) {
  varint(static_cast<uint64_t>(field) << 3 | wire_type);
}

void ProtobufMessage::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    bytes_ += static_cast<char>((value & 0x7F) | 0x80);
  }
  bytes_ += static_cast<char>(value);
}

}  // namespace rsm
