#pragma once

#include <torch/types.h>

#include "rsm/base/denoiser.h"
#include "rsm/base/state_dict.h"

namespace rsm {

/** F(x, t, prompt): one number of a state, by a network with an optimiser of
 * its own. States are x [B,C,H,W], t [B] and their conditions. */
class LearntScalar {
 public:
  virtual ~LearntScalar() = default;

  /** [B] float32 in host memory, without gradient. */
  virtual torch::Tensor at(const torch::Tensor& x, const torch::Tensor& t,
                           const ConditionRows& conditions) = 0;

  /** dF/dx [B,C,H,W] float32 in host memory. Called from several threads. */
  virtual torch::Tensor slope(const torch::Tensor& x, const torch::Tensor& t,
                              const ConditionRows& conditions) = 0;

  /** One update along dL/dF [B]. Throws rsm::Error where the gradient of the
   * weights is not finite; nothing has changed then. */
  virtual void update(const torch::Tensor& x, const torch::Tensor& t,
                      const ConditionRows& conditions,
                      const torch::Tensor& loss_slope) = 0;

  /** Copies of the weights and the optimiser's moments. */
  virtual StateDict state() const = 0;
  virtual void load_state(const StateDict& state) = 0;
};

}  // namespace rsm
