#pragma once

#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/method.h"
#include "rsm/base/rollout.h"
#include "rsm/base/transition.h"

namespace rsm {

/** lambda = 0.5169 / w of a step: with y_ref + lambda (y - y_ref) in place of
 * y, a change of y weighs the same at all times (PCPO's uw-lambda, arXiv
 * 2509.25774). */
double residual_scale(const Transition& step);

/** y_ref + lambda (y - y_ref) for a rollout's states. */
class OutputMap {
 public:
  /** No change. */
  OutputMap() = default;
  explicit OutputMap(const RolloutIndex& rollout);
  /** That of a method's policy. */
  static OutputMap of(const Method& method, const RolloutIndex& rollout);

  bool changes() const { return factor_.defined(); }
  /** The part for some states, on a device. */
  OutputMap select(const std::vector<int64_t>& states,
                   torch::Device device) const;
  /** What stands in place of y [B,C,H,W]; y_ref is not looked at where nothing
   * changes. */
  torch::Tensor forward(const torch::Tensor& y,
                        const torch::Tensor& y_ref) const;
  /** The gradient of y from the gradient of that. */
  torch::Tensor backward(const torch::Tensor& gradient) const;

 private:
  torch::Tensor factor_;  ///< [S,1,1,1] float32, undefined for no change
};

/** A network whose output is y_ref + lambda (y - y_ref), at the times of
 * `steps`. */
class ScaledResidual : public Denoiser {
 public:
  /** Both must outlive it. */
  ScaledResidual(Denoiser& network, Denoiser& reference, Transitions steps)
      : network_(network), reference_(reference), steps_(std::move(steps)) {}

  /** Throws rsm::Error for a time that is no step's. */
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override;

 private:
  double factor_at(double t) const;

  Denoiser& network_;
  Denoiser& reference_;
  Transitions steps_;
};

}  // namespace rsm
