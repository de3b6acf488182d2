#pragma once

#include <string>
#include <vector>

#include "rsm/judges/geneval_rules.h"
#include "rsm/judges/onnx_detector.h"

namespace rsm::geneval {

/** What a reward geneval:PATH judges with. */
struct Settings {
  /** A TorchScript file (judges/detector.h) or, by its name's end .onnx, an
   * ONNX file (judges/onnx_detector.h). */
  std::string detector;
  GridSettings grid;    ///< of an ONNX file
  std::string classes;  ///< a text file: names by the detector's numbers
  std::string clip;     ///< a CLIP that tells colours; empty: by hue
  /** The user's word that the detector and CLIP are those of the published
   * evaluation. */
  bool published = false;
  Thresholds thresholds;
};

/** Reads PATH: a JSON file, or a folder that may have one, geneval.json. Its
 * keys, all of them optional, are `detector` (detector.pt, or detector.onnx
 * where that alone is there), `onnx` (an object, see read_grid), `classes`
 * (classes.txt), `colours` (the folder clip where there is one, or else the
 * word hue), `published` (false), `threshold`, `counting_threshold`,
 * `max_objects`, `max_overlap` and `position_threshold`; files are looked for
 * from where it lies. Throws rsm::Error naming file and key for wrong values
 * and unknown keys, where published is true beside colours by hue, other
 * thresholds or an ONNX detector, and for `onnx` beside another detector.
 * Whether the files are there is not looked at. */
Settings read_settings(const std::string& path);

/** Whether the detector is an ONNX file. */
bool is_onnx(const Settings& settings);

/** The files and folders that a reward geneval:PATH rests on, there or not. */
std::vector<std::string> places_of(const std::string& path);

/** The lines of a list of classes, without surrounding space. An empty one
 * stands for a class that cannot be asked for. Throws rsm::Error naming the
 * file where it can't be read, has no name at all, or has one twice. */
std::vector<std::string> read_classes(const std::string& who,
                                      const std::string& file);

}  // namespace rsm::geneval
