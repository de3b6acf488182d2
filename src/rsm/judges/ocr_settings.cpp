#include "rsm/judges/ocr_settings.h"

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

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
constexpr const char* kLanguage = "eng";
// Of Debian's packages; the variable is Tesseract's own.
constexpr const char* kDebianData = "/usr/share/tesseract-ocr/5/tessdata";
constexpr const char* kDataVariable = "TESSDATA_PREFIX";
constexpr int64_t kMostSide = 4096;  // pixels
constexpr double kMostUnclip = 100;

/** Where the settings of PATH lie, there or not. */
std::string file_of(const std::string& path) {
  return is_file(path) ? path : path + "/" + kFile;
}

std::string usual_data() {
  const char* folder = std::getenv(kDataVariable);
  return folder != nullptr && *folder != '\0' ? folder : kDebianData;
}

json keys_of_engine(const std::string& engine) {
  json known;
  for (const char* key : {"engine", "side", "confidence"}) known[key] = nullptr;
  if (engine == kTesseract) {
    for (const char* key : {"language", "data"}) known[key] = nullptr;
    return known;
  }
  for (const char* key : {"detector", "recogniser", "characters", "threshold",
                          "dilate", "box_threshold", "unclip"}) {
    known[key] = nullptr;
  }
  return known;
}

}  // namespace

std::vector<std::string> OcrSettings::language_files() const {
  std::vector<std::string> files;
  std::istringstream in(language);
  for (std::string word; std::getline(in, word, '+');) {
    if (!word.empty()) files.push_back(data + "/" + word + ".traineddata");
  }
  return files;
}

OcrSettings read_ocr_settings(const std::string& path) {
  const std::string file = file_of(path);
  const std::filesystem::path folder = parent_of(file);
  const json object = is_file(file) ? read_json(file) : json::object();
  const JsonFields fields(object, "[ocr] " + file);
  OcrSettings s;
  s.engine = kPpOcr;
  fields.choice("engine", s.engine, {kPpOcr, kTesseract});
  fields.check_keys(keys_of_engine(s.engine));
  std::string detector = kDetector, recogniser = kRecogniser, characters;
  fields.text("detector", detector);
  fields.text("recogniser", recogniser);
  fields.text("characters", characters);
  s.detector = (folder / detector).string();
  s.recogniser = (folder / recogniser).string();
  if (!characters.empty()) s.characters = (folder / characters).string();
  s.language = kLanguage;
  fields.text("language", s.language);
  fields.check("language", !s.language_files().empty(),
               "a language, or several with + between, as in \"eng+deu\",");
  s.data = fields.has("data") ? (folder / fields.text("data")).string()
                              : usual_data();
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
  std::vector<std::string> places = {file_of(path)};
  if (s.engine == kTesseract) {
    for (const auto& file : s.language_files()) places.push_back(file);
    return places;
  }
  places.insert(places.end(), {s.detector, s.recogniser});
  if (!s.characters.empty()) places.push_back(s.characters);
  return places;
}

}  // namespace rsm
