#pragma once

#include <torch/types.h>

#include <string>

namespace rsm {

/** NIQE: how far the statistics of a picture's blocks are from those of
 * undistorted photographs. 0 is as near as can be, photographs have about 2 to
 * 5; the lower the better. It sees no prompt. Source: Mittal, Soundararajan and
 * Bovik, 2013, and its release, whose parameters a user names by their file. */
class Niqe {
 public:
  /** Reads pop_mu [36] and pop_cov [36,36] of a MATLAB 5 file. Throws
   * rsm::Error naming the file where they are not there. */
  explicit Niqe(const std::string& file);

  /** Of a picture [3,H,W] in [0,1], over its blocks of 96 x 96 from the upper
   * left; flat blocks are left out. NaN where fewer than two are left: they
   * have no covariance. Throws rsm::Error for another shape. */
  double of(const torch::Tensor& picture) const;

 private:
  torch::Tensor mean_, covariance_;  ///< [36], [36,36] float64
};

/** [N,36] of a picture's N blocks, NaN in flat ones: of both scales the shape
 * and mean scale of the coefficients, and of their products with their
 * neighbours to the left, above, and at both corners above, the shape, mean,
 * left and right scale. */
torch::Tensor niqe_features(const torch::Tensor& picture);

}  // namespace rsm
