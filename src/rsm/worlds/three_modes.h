#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/worlds/gaussian_mixture.h"

namespace rsm {

/** A world in two dimensions in which the value of every noisy state is known:
 * three normal modes, a linear reward r(x0) = a x0 + 3, temperature 1. Its
 * points x [B,2,N] and signals h [B,1,1] are those of a GaussianMixture.
 * Source: figure 2 of arXiv 2604.17415 and its public scripts. */
class ThreeModes {
 public:
  ThreeModes();

  /** What models have learnt. */
  const GaussianMixture& reference() const { return reference_; }
  /** The reference times exp(r): where fine-tuning should lead. */
  const GaussianMixture& tilted() const { return tilted_; }

  /** [2] float64: a. */
  const torch::Tensor& slope() const { return slope_; }
  /** [B,N] of points themselves. */
  torch::Tensor reward(const torch::Tensor& x) const;

  /** [B,N] log E[exp(r(x0)) | x] under the reference. */
  torch::Tensor value(const torch::Tensor& x,
                      const torch::Tensor& signal) const;
  /** [B,2,N] its gradient in x: the difference of the scores of `tilted` and
   * `reference`. */
  torch::Tensor value_gradient(const torch::Tensor& x,
                               const torch::Tensor& signal) const;

  /** [count,2] float64: states that `tilted` visits at a signal, the same
   * whatever the language: from the van der Corput sequences of bases 2 (the
   * mode), 3 and 5 (its normal noise by Box and Muller). */
  torch::Tensor states(int64_t count, double signal) const;

  /** alpha_bar = h^2 of the timesteps 0 on: (1 - beta_0) ... (1 - beta_i), 500
   * of them, beta linear from 1e-4 to 0.03. */
  static std::vector<double> alpha_bars();

 private:
  torch::Tensor slope_;
  GaussianMixture reference_, tilted_;
};

}  // namespace rsm
