#pragma once

#include <torch/types.h>

namespace rsm {

/** A mixture of normal distributions of unit variance, and what is known in
 * closed form of its points x0 once they are noised:
 *
 *     x = h x0 + sqrt(1 - h^2) e,   h = signal
 *
 * whose components have unit variance at every h. Points are x [B,D,N]; h is
 * [B,1,1], in (0,1]; results have the dtype of x. */
class GaussianMixture {
 public:
  /** Means m [M,D] and the logarithms of their weights [M] up to a constant,
   * float64. Throws rsm::Error for other shapes. */
  GaussianMixture(torch::Tensor means, torch::Tensor log_weights);

  /** [M,D] and [M] float64; the latter are normalised. */
  const torch::Tensor& means() const { return means_; }
  const torch::Tensor& log_weights() const { return log_weights_; }

  /** [B,M,N] the posterior share of each component, its logarithm up to what
   * all of a point have in common: log w_k + h m_k x - h^2 |m_k|^2 / 2. */
  torch::Tensor log_shares(const torch::Tensor& x,
                           const torch::Tensor& signal) const;
  /** [B,D,N] the posterior mean M of the components' means. */
  torch::Tensor mean(const torch::Tensor& x, const torch::Tensor& signal) const;
  /** [B,D,N] the posterior covariance C of the components' means, times v
   * [B,D,N]. dM/dx = h C. */
  torch::Tensor covariance_times(const torch::Tensor& x,
                                 const torch::Tensor& signal,
                                 const torch::Tensor& v) const;

  /** Gradient of the log-density: h M - x. */
  torch::Tensor score(const torch::Tensor& x,
                      const torch::Tensor& signal) const;
  /** E[e | x] = sqrt(1 - h^2) (x - h M). */
  torch::Tensor noise(const torch::Tensor& x,
                      const torch::Tensor& signal) const;
  /** v times the (symmetric) Jacobian of noise(). */
  torch::Tensor noise_jacobian_times(const torch::Tensor& x,
                                     const torch::Tensor& signal,
                                     const torch::Tensor& v) const;
  /** E[x0 | x] = h x + (1 - h^2) M. */
  torch::Tensor picture(const torch::Tensor& x,
                        const torch::Tensor& signal) const;

 private:
  torch::Tensor means_, log_weights_;
};

}  // namespace rsm
