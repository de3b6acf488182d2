#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/judges/text_geometry.h"

namespace rsm {

/** From where a network is how sure of text to boxes (Liao et al., 2020, arXiv
 * 1911.08947, "DB"). By default RapidOCR 1.4.4's, which judges alike. */
struct TextBoxSettings {
  double threshold = 0.3;      ///< above it a pixel is text
  bool dilate = true;          ///< so are those right of, and below, it
  double box_threshold = 0.5;  ///< least mean of a box
  double unclip = 1.6;         ///< grown by area times this over perimeter
};

/** map [H,W] float32 in [0,1] on the CPU, of a picture of height x width pixels
 * -> the boxes of its texts, whole pixels within it, in the order of reading:
 * by their left upper corners from top to bottom and, in a line of 10 pixels,
 * from left to right. Pixels that touch, also at a corner, are one text; those
 * under 3 pixels high or wide are none. */
std::vector<Quad> text_boxes(const torch::Tensor& map,
                             const TextBoxSettings& settings, int64_t height,
                             int64_t width);

}  // namespace rsm
