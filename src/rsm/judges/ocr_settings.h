#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/judges/text_boxes.h"

namespace rsm {

/** What a reward ocr:PATH reads with. */
struct OcrSettings {
  std::string detector;    ///< an ONNX file: where there is text
  std::string recogniser;  ///< an ONNX file: what a line of it says
  std::string characters;  ///< a text file; empty: within the recogniser's
  /** What the shorter side of a picture is enlarged to for the detector, in
   * pixels; a larger one stays. Both are rounded to multiples of 32. */
  int64_t side = 736;
  TextBoxSettings boxes;
  double confidence = 0.5;  ///< least mean chance of a line's letters
};

/** Reads PATH: a JSON file, or a folder that may have one, ocr.json. Its keys,
 * all of them optional, are `detector` (ch_PP-OCRv4_det_infer.onnx),
 * `recogniser` (ch_PP-OCRv4_rec_infer.onnx), `characters`, `side`, `threshold`,
 * `dilate`, `box_threshold`, `unclip` and `confidence`; files are looked for
 * from where it lies. Throws rsm::Error naming file and key for wrong values
 * and unknown keys. Whether the files are there is not looked at. */
OcrSettings read_ocr_settings(const std::string& path);

/** The files that a reward ocr:PATH rests on, there or not. */
std::vector<std::string> ocr_places(const std::string& path);

}  // namespace rsm
