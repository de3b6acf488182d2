#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/judges/text_boxes.h"

namespace rsm {

/** The engines, by the names that settings, metrics and reports call them. */
inline constexpr const char* kPpOcr = "pp-ocr";
inline constexpr const char* kTesseract = "tesseract";

/** What a reward ocr:PATH reads with. */
struct OcrSettings {
  std::string engine;      ///< kPpOcr or kTesseract
  std::string detector;    ///< an ONNX file: where there is text
  std::string recogniser;  ///< an ONNX file: what a line of it says
  std::string characters;  ///< a text file; empty: within the recogniser's
  std::string language;    ///< Tesseract's words for them, as in "eng+deu"
  std::string data;        ///< the folder with their LANGUAGE.traineddata
  /** What the shorter side of a picture is enlarged to for PP-OCR's detector
   * and for Tesseract, in pixels; a larger one stays. For the detector both are
   * rounded to multiples of 32. */
  int64_t side = 736;
  TextBoxSettings boxes;
  double confidence = 0.5;  ///< least mean chance of a line's letters

  /** Tesseract's data of each language, there or not. */
  std::vector<std::string> language_files() const;
};

/** Reads PATH: a JSON file, or a folder that may have one, ocr.json. Its keys,
 * all of them optional, are `engine` (pp-ocr), `side` and `confidence`; of
 * pp-ocr also `detector` (ch_PP-OCRv4_det_infer.onnx), `recogniser`
 * (ch_PP-OCRv4_rec_infer.onnx), `characters`, `threshold`, `dilate`,
 * `box_threshold` and `unclip`; of tesseract `language` (eng) and `data` (the
 * folder that the environment's TESSDATA_PREFIX names, or Debian's). Files are
 * looked for from where it lies. Throws rsm::Error naming file and key for
 * wrong values and keys that are unknown, or the other engine's. Whether the
 * files are there is not looked at. */
OcrSettings read_ocr_settings(const std::string& path);

/** The files that a reward ocr:PATH rests on, there or not. */
std::vector<std::string> ocr_places(const std::string& path);

}  // namespace rsm
