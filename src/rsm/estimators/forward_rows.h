#pragma once

#include "rsm/estimators/regression.h"
#include "rsm/estimators/zeroth_order.h"

namespace rsm {

/** Branches, and their pictures noised again: beside advantages times noise the
 * regression of ForwardKnobs, two means in one loss. The network is asked only
 * to train, at states that cost no picture. */
class ForwardRows : public ZerothOrder {
 public:
  ForwardRows(const Method& method, uint64_t seed);

  void at_output(const torch::Tensor& y, LossTerms& terms) const override;

 private:
  Regression regression_;
};

}  // namespace rsm
