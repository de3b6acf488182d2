#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rsm {

/** A message of Protocol Buffers, written field by field. Numbers of fields are
 * from 1 on. Source: the format's own description, "Encoding". */
class ProtobufMessage {
 public:
  void integer(int field, uint64_t value);  ///< varint: int64 from 0, enum
  void number(int field, float value);
  void real(int field, double value);
  /** A text, bytes or the data() of another message. */
  void bytes(int field, std::string_view value);

  const std::string& data() const { return bytes_; }

 private:
  void key(int field, unsigned wire_type);
  void varint(uint64_t value);

  std::string bytes_;
};

/** The lowest `count` bytes of a number, the lowest first. */
std::string little_endian(uint64_t value, int count);

}  // namespace rsm
