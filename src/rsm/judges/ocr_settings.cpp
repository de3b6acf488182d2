#include "rsm/judges/ocr_settings.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/judges/judge_files.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kFile = "ocr.json";
// As PaddleOCR calls them, and the wheels that carry them.
constexpr const char* kDetector = "ch_PP-OCRv4_det_infer.onnx";
constexpr const char* kRecogniser = "ch_PP-OCRv4_rec_infer.onnx";
constexpr int64_t kMostSide = 4096;  // pixels
constexpr double kMostUnclip = 100;

/** Where the settings of PATH lie, there or not. */
std::string file_of(const std::string& path) {
  return is_file(path) ? path : path + "/" + kFile;
}

}  // namespace

OcrSettings read_ocr_settings(const std::string& path) {
  const std::string file = file_of(path);
  const std::filesystem::path folder = parent_of(file);
  const json object = is_file(file) ? read_json(file) : json::object();
  const JsonFields fields(object, "[ocr] " + file);
  json known;
  for (const char* key :
       {"detector", "recogniser", "characters", "side", "threshold", "dilate",
        "box_threshold", "unclip", "confidence"}) {
    known[key] = nullptr;
  }
  fields.check_keys(known);
  std::string detector = kDetector, recogniser = kRecogniser, characters;
  fields.text("detector", detector);
  fields.text("recogniser", recogniser);
  fields.text("characters", characters);
  OcrSettings s;
  s.detector = (folder / detector).string();
  s.recogniser = (folder / recogniser).string();
  if (!characters.empty()) s.characters = (folder / characters).string();
  fields.integer("side", s.side, 1, kMostSide);
  fields.number_above("threshold", s.boxes.threshold, 0, 1);
  fields.truth("dilate", s.boxes.dilate);
  fields.number_above("box_threshold", s.boxes.box_threshold, 0, 1);
  fields.number_above("unclip", s.boxes.unclip, 0, kMostUnclip);
  fields.number_above("confidence", s.confidence, 0, 1);
  return s;
}

std::vector<std::string> ocr_places(const std::string& path) {
  const auto s = read_ocr_settings(path);
  std::vector<std::string> places = {file_of(path), s.detector, s.recogniser};
  if (!s.characters.empty()) places.push_back(s.characters);
  return places;
}

}  // namespace rsm
