#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm {

// Event files, which TensorBoard reads: records one after another, each an
// Event of event.proto. Source: tensorboard 2.20, compat/proto/event.proto and
// summary.proto; TensorFlow's TFRecord format.

/** What is known of one step. */
struct EventStep {
  int64_t step = 0;                                    ///< from 0
  double seconds = 0;                                  ///< the event's time
  std::vector<std::pair<std::string, float>> scalars;  ///< by tag
  /** PNG files by tag, whole. */
  std::vector<std::pair<std::string, std::string>> pictures;
};

/** The record that a file begins with, which names the format's version. */
std::string event_file_head();

/** The record of a step. Throws rsm::Error where a picture is no PNG file. */
std::string event_record(const EventStep& step);

/** Bytes as a record: their number and checksum, they, and theirs. */
std::string framed(std::string_view bytes);

/** CRC-32C (Castagnoli, RFC 3720, appendix B.4). */
uint32_t crc32c(std::string_view bytes);

}  // namespace rsm
