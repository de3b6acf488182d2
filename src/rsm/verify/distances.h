#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/verify/density.h"

namespace rsm::verify {

/** A cloud of points as it is seen along directions evenly spread over the half
 * circle (on a line: along that). */
class Profile {
 public:
  /** Points [N,D], D 1 or 2. Throws rsm::Error for others. */
  explicit Profile(const torch::Tensor& points);

  /** The sliced 1-Wasserstein distance to a cloud of equally many points: the
   * mean over directions of the mean distance between points of equal rank.
   * Symmetric, and in the points' units: clouds that differ by a shift s have
   * |s| in 1-D and 2/pi |s| in 2-D. Throws rsm::Error for other clouds. */
  double distance_to(const Profile& other) const;

 private:
  torch::Tensor sorted_;  ///< [directions,N]
};

/** Cells of one size, and what a density says of each. */
class Cells {
 public:
  /** Over the box of `points` [N,D], with the rest of space as one more cell.
   * Its probabilities are midpoint sums of a finer grid. */
  Cells(const Density& density, const torch::Tensor& points);

  /** KL(points || density) of the shares of points in each cell: above 0 for
   * the density's own points by about (cells - 1) / 2N. Where the density has
   * next to nothing, 1e-6 is taken for what a cell has. */
  double kl_of(const torch::Tensor& points) const;

  int64_t count() const { return probability_.numel(); }

 private:
  std::vector<double> low_, width_;  ///< by coordinate
  int64_t side_;
  torch::Tensor probability_;  ///< [cells + 1]
};

}  // namespace rsm::verify
