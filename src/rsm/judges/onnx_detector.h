#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rsm/judges/detector.h"
#include "rsm/judges/onnx_pixels.h"

namespace rsm::geneval {

/** How an ONNX detector is shown pictures, and what it says of them. Those of
 * YOLOX by default (Ge et al., 2021, arXiv 2107.08430; its ONNX demo;
 * suppression within a class, as in its evaluation). */
struct GridSettings {
  OnnxPixels pixels = {.range = 255, .bgr = true};
  /** Of the square it is shown, in pixels, where the network takes any. A
   * picture lies in its left upper corner, as large as fits. */
  int64_t size = 416;
  double padding = 114;  ///< of the rest of the square, as a byte
  /** Of its grids, in pixels: their cells come row by row, one grid after the
   * other. None: its rows are in pixels of the square already. */
  std::vector<int64_t> strides = {8, 16, 32};
  /** Intersection over union at which the less sure of two of a class goes. */
  double overlap = 0.45;
};

/** Reads `size`, `padding`, `strides`, `overlap` and the keys of read_pixels().
 * Throws rsm::Error naming file and key for wrong values and unknown keys. */
void read_grid(const JsonFields& fields, GridSettings& settings);

/** A detector in an ONNX file that gives, of each picture, rows [N,5+classes]:
 * x, y, w, h, the chance that something is there and that of each class, which
 * are multiplied. Of a cell (column, row) of a grid the object's centre is
 * (column + x, row + y) and its size (exp w, exp h), times the stride. It is
 * shown pictures of bytes, resized bilinearly, on the CPU, one by one, so many
 * as `threads` at once. Errors begin with "[who]". */
std::unique_ptr<Detector> make_onnx_detector(const std::string& who,
                                             const std::string& file,
                                             int64_t classes,
                                             const GridSettings& settings,
                                             int64_t threads);

}  // namespace rsm::geneval
