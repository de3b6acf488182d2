#include "rsm/judges/geneval_settings.h"

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/plain_text.h"
#include "rsm/judges/judge_files.h"

namespace rsm::geneval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFile = "geneval.json";
constexpr const char* kDetector = "detector.pt";
constexpr const char* kOnnx = ".onnx";
constexpr const char* kOnnxDetector = "detector.onnx";
constexpr const char* kClasses = "classes.txt";
constexpr const char* kClip = "clip";
constexpr const char* kHue = "hue";

/** Where the settings of PATH lie, there or not. */
std::string file_of(const std::string& path) {
  return is_file(path) ? path : path + "/" + kFile;
}

/** A share, of float32 as detectors' scores are. */
void read_share(const JsonFields& fields, const char* key, float& value) {
  double wide = value;
  fields.number_above(key, wide, 0, 1);
  value = static_cast<float>(wide);
}

void read_thresholds(const JsonFields& fields, Thresholds& t) {
  read_share(fields, "threshold", t.score);
  read_share(fields, "counting_threshold", t.counting_score);
  fields.integer("max_objects", t.most, 1, std::numeric_limits<int32_t>::max());
  fields.number_above("max_overlap", t.overlap, 0, 1);
  read_share(fields, "position_threshold", t.margin);
}

/** Of what check_keys() takes, names alone matter. */
json known_keys() {
  json known;
  for (const char* key : {"detector", "onnx", "classes", "colours", "published",
                          "threshold", "counting_threshold", "max_objects",
                          "max_overlap", "position_threshold"}) {
    known[key] = nullptr;
  }
  return known;
}

}  // namespace

Settings read_settings(const std::string& path) {
  const std::string file = file_of(path);
  const fs::path folder = parent_of(file);
  const std::string clip = folder / kClip;
  const bool only_onnx = !is_there((folder / kDetector).string()) &&
                         is_file((folder / kOnnxDetector).string());
  std::string detector = only_onnx ? kOnnxDetector : kDetector;
  std::string classes = kClasses;
  std::string colours = is_folder(clip) ? kClip : kHue;
  Settings s;
  const json object = is_file(file) ? read_json(file) : json::object();
  const JsonFields fields(object, "[geneval] " + file);
  fields.check_keys(known_keys());
  fields.text("detector", detector);
  fields.text("classes", classes);
  fields.text("colours", colours);
  fields.truth("published", s.published);
  read_thresholds(fields, s.thresholds);
  s.detector = folder / detector;
  s.classes = folder / classes;
  if (colours != kHue) s.clip = folder / colours;
  if (fields.has("onnx")) {
    fields.check("onnx", is_onnx(s),
                 "a detector that is an .onnx file, or no such object,");
    read_grid(fields.object("onnx"), s.grid);
  }
  RSM_CHECK(!s.published || !is_onnx(s), "[geneval] ", file,
            ": published is true, and the detector ", s.detector,
            " is an ONNX file, which is none of the published evaluation; "
            "take the published one, exported to TorchScript, or leave out "
            "published");
  RSM_CHECK(!s.published || (!s.clip.empty() && s.thresholds == Thresholds()),
            "[geneval] ", file,
            ": published is true, and the published evaluation tells colours "
            "by a CLIP and has its own thresholds; leave out what differs, or "
            "published");
  return s;
}

bool is_onnx(const Settings& settings) {
  return settings.detector.ends_with(kOnnx);
}

std::vector<std::string> places_of(const std::string& path) {
  const Settings s = read_settings(path);
  std::vector<std::string> places = {file_of(path), s.detector, s.classes};
  if (!s.clip.empty()) places.push_back(s.clip);
  if (is_onnx(s)) {  // where large exports keep their weights
    places.push_back(s.detector + ".data");
    places.push_back(s.detector + "_data");
  }
  return places;
}

std::vector<std::string> read_classes(const std::string& who,
                                      const std::string& file) {
  RSM_CHECK(is_file(file), "[", who, "] there is no file ", file,
            "; it lists the detector's classes, a name a line "
            "(docs/rewards.md)");
  std::istringstream lines(plain_text(who, file, read_file(file)));
  constexpr const char* kSpace = " \t\r\v\f";
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(kSpace);
    names.push_back(
        first == std::string::npos
            ? ""
            : line.substr(first, line.find_last_not_of(kSpace) - first + 1));
    RSM_CHECK(names.back().empty() || seen.insert(names.back()).second, "[",
              who, "] ", file, ":", names.size(), ": the class \"",
              names.back(),
              "\" stands there twice; a class has one number, and an empty "
              "line is one that is never asked for");
  }
  RSM_CHECK(!seen.empty(), "[", who, "] ", file, " names no class");
  return names;
}

}  // namespace rsm::geneval
