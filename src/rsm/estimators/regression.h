#pragma once

#include "rsm/estimators/zeroth_order.h"

namespace rsm {

/** Regression onto noised samples (base/picture_knobs.h). With d = y - y_c and
 * g the strength, a row's log-density is -L(y),
 *
 *     L = (g / 2) <d^2>,  (g / 2) <d^2> / <|d|>, the divisor held, or
 *         (g / 2) (<d^2> + 1e-10)^p / p,
 *
 * and its loss has the gradient R c dL/dy, c the coefficient and R =
 * e^(L(y_old) - L(y)), cut as in PPO, where there is a ratio, or 1 and cut
 * there (`clip`). What compares a group's outputs takes those from before the
 * updates. Where pulls to the reference follow A (least_pull), a row's is
 * least + (1 - least) (A / advantage_clip + 1) / 2 of the whole. */
class Regression : public ZerothOrder {
 public:
  Regression(const Method& method, uint64_t seed) : ZerothOrder(method, seed) {}

  /** Weights of pictures in place of advantages. */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;
  void weigh(const Sampled& sampled, const Outputs& outputs,
             Guidance& guidance) const override;
  void at_output(const torch::Tensor& y, LossTerms& terms) const override;
};

}  // namespace rsm
