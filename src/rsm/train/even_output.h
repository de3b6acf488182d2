#pragma once

#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/rollout.h"
#include "rsm/base/transition.h"

namespace rsm {

/** lambda = 0.5169 / w of a step: with y_ref + lambda (y - y_ref) in place of
 * y, a change of y weighs the same at all times (PCPO's uw-lambda, arXiv
 * 2509.25774). */
double even_factor(const Transition& step);

/** [S,1,1,1] lambda of a rollout's states, float32. */
torch::Tensor output_factors(const Rollout& rollout);

/** A network with that in place of its output, at the times of `steps`. */
class EvenOutput : public Denoiser {
 public:
  /** Both must outlive it. */
  EvenOutput(Denoiser& network, Denoiser& reference, Transitions steps)
      : network_(network), reference_(reference), steps_(std::move(steps)) {}

  /** Throws rsm::Error for a time that is no step's. */
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override;

 private:
  double factor_at(double t) const;

  Denoiser& network_;
  Denoiser& reference_;
  Transitions steps_;
};

}  // namespace rsm
