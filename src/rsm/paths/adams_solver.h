#pragma once

#include <torch/types.h>

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "rsm/paths/path.h"
#include "rsm/paths/stochastic_adams.h"

namespace rsm {

/** SA-Solver along `times`, one network evaluation a step: the output at a
 * predicted state corrects that state, and with it predicts the next one. */
class AdamsSolver {
 public:
  /** `path` has to outlive it. */
  AdamsSolver(const Path& path, std::vector<double> times,
              const StochasticAdams& settings)
      : path_(path), times_(std::move(times)), settings_(settings) {}

  /** Whether step i draws noise. */
  bool draws_noise(int64_t i) const { return settings_.tau_at(times_[i]) > 0; }

  /** The state at times[i + 1] of the i-th call, i = 0, 1, ...: x [B,C,H,W] is
   * the state at times[i], as the call before returned it, y the network's
   * output there, eps standard normal numbers where the step draws noise. x is
   * of float32 or float64. Throws rsm::Error after the last step. */
  torch::Tensor step(torch::Tensor x, const torch::Tensor& y,
                     const torch::Tensor& eps);

 private:
  torch::Tensor applied(const AdamsStep& step, const torch::Tensor& x,
                        const torch::Tensor& eps) const;

  const Path& path_;
  std::vector<double> times_;
  StochasticAdams settings_;
  int64_t i_ = 0;
  std::deque<torch::Tensor> pictures_;  ///< predicted, newest first
  torch::Tensor x_, eps_;               ///< of the step before
};

}  // namespace rsm
