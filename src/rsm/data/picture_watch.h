#pragma once

#include <torch/types.h>

#include <vector>

namespace rsm {

/** What pictures lose, or grow, where a reward is won by what it does not see;
 * of each picture alone, whatever the prompt. */
struct PictureWatch {
  /** Share of the pairs of neighbouring pixels (beside and below) whose
   * luminance (Rec. 601) differs by more than kEdge: 0 of a flat picture, 1 of
   * a checkerboard, small of a blurred one. 0 where there is no pair. */
  std::vector<double> edges;
  /** Entropy, in bits, of its pixels over 4 x 4 x 4 cells of red, green, blue:
   * 0 of one colour, 1 of two that share the picture, at most 6. */
  std::vector<double> colours;
  /** Mean of the largest minus the smallest of red, green, blue: 0 of greys, 1
   * of pure colours. */
  std::vector<double> saturation;
};

/** A tenth of the way from black to white. */
inline constexpr double kEdge = 0.1;

/** Of pictures [B,3,H,W] in [0,1], on any device. Throws rsm::Error for another
 * shape. */
PictureWatch watch_pictures(const torch::Tensor& images);

}  // namespace rsm
