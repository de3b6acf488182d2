#pragma once

#include "rsm/estimators/zeroth_order.h"

namespace rsm {

/** Two paths of one start and the difference of their pictures, which stands
 * for the gradient of a picture's reward in its path's outputs (FDFO, arXiv
 * 2603.12893). A row's D points from the other path's picture to its own, half
 * as far, over its mean square; with y_c = y_old - D, A half the rewards'
 * difference and h the strength a row's log-density is
 *
 *     -h <(y - y_c)^2>
 *
 * and its loss what the method's importance makes of that and A. Outputs say
 * noise less picture, or noise: less of them is more of a picture. */
class PairDifference : public ZerothOrder {
 public:
  PairDifference(const Method& method, uint64_t seed)
      : ZerothOrder(method, seed) {}

  Guidance guide(const Sampled& sampled, int64_t epoch) override;
};

/** y_c - y_old of the rows of each picture: latents [I,C,H,W] of pairs that
 * stand together -> [I,C,H,W] of their type, -D of each. Zeros where both are
 * the same. */
torch::Tensor pair_directions(const torch::Tensor& latents);

}  // namespace rsm
