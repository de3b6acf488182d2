#include "rsm/worlds/gaussian_mixture.h"

#include <utility>

#include "rsm/base/error.h"

namespace rsm {

GaussianMixture::GaussianMixture(torch::Tensor means, torch::Tensor log_weights)
    : means_(std::move(means)), log_weights_(std::move(log_weights)) {
  RSM_CHECK(means_.dim() == 2 && means_.size(0) > 0 &&
                log_weights_.dim() == 1 &&
                log_weights_.size(0) == means_.size(0) &&
                means_.scalar_type() == at::kDouble &&
                log_weights_.scalar_type() == at::kDouble,
            "[mixture] means ", means_.sizes(), " and weights ",
            log_weights_.sizes(), "; [M,D] and [M] float64 are needed");
  log_weights_ = log_weights_ - log_weights_.logsumexp(0);
}

torch::Tensor GaussianMixture::log_shares(const torch::Tensor& x,
                                          const torch::Tensor& signal) const {
  const auto of_modes = [&](const torch::Tensor& values) {
    return values.to(x.options()).view({1, -1, 1});
  };
  const auto squares = of_modes(means_.square().sum(1));
  return of_modes(log_weights_) +
         signal * at::matmul(means_.to(x.options()), x) -
         0.5 * signal.square() * squares;
}

torch::Tensor GaussianMixture::mean(const torch::Tensor& x,
                                    const torch::Tensor& signal) const {
  return at::matmul(means_.t().to(x.options()),
                    log_shares(x, signal).softmax(1));
}

torch::Tensor GaussianMixture::covariance_times(const torch::Tensor& x,
                                                const torch::Tensor& signal,
                                                const torch::Tensor& v) const {
  const auto means = means_.to(x.options());
  const auto shares = log_shares(x, signal).softmax(1);
  const auto mean = at::matmul(means.t(), shares);
  return at::matmul(means.t(), shares * at::matmul(means, v)) -
         mean * (mean * v).sum(1, /*keepdim=*/true);
}

torch::Tensor GaussianMixture::score(const torch::Tensor& x,
                                     const torch::Tensor& signal) const {
  return signal * mean(x, signal) - x;
}

torch::Tensor GaussianMixture::noise(const torch::Tensor& x,
                                     const torch::Tensor& signal) const {
  return -(1 - signal.square()).sqrt() * score(x, signal);
}

torch::Tensor GaussianMixture::noise_jacobian_times(
    const torch::Tensor& x, const torch::Tensor& signal,
    const torch::Tensor& v) const {
  return (1 - signal.square()).sqrt() *
         (v - signal.square() * covariance_times(x, signal, v));
}

torch::Tensor GaussianMixture::picture(const torch::Tensor& x,
                                       const torch::Tensor& signal) const {
  return signal * x + (1 - signal.square()) * mean(x, signal);
}

}  // namespace rsm
