#include "rsm/verify/exact_denoiser.h"

#include <vector>

namespace rsm::verify {

std::pair<torch::Tensor, torch::Tensor> shares_at(const Path& path,
                                                  const torch::Tensor& t,
                                                  const torch::Tensor& like) {
  const auto times = t.to(at::kCPU, at::kDouble).contiguous();
  std::vector<double> signals, noises;
  for (int64_t b = 0; b < times.numel(); ++b) {
    const double at = times.const_data_ptr<double>()[b];
    signals.push_back(path.signal(at));
    noises.push_back(path.noise(at));
  }
  return {torch::tensor(signals, at::kDouble).to(like.options()),
          torch::tensor(noises, at::kDouble).to(like.options())};
}

torch::Tensor exact_output(const Path& path, const Density& density,
                           const torch::Tensor& x, const torch::Tensor& signal,
                           const torch::Tensor& noise) {
  const auto point = density.posterior_mean(x, signal, noise);
  return path.target(point,
                     (x - signal.unsqueeze(1) * point) / noise.unsqueeze(1));
}

torch::Tensor ExactDenoiser::predict(const torch::Tensor& x,
                                     const torch::Tensor& t,
                                     const ConditionRows& /*conditions*/) {
  const auto points = x.flatten(1).to(at::kDouble);
  const auto [signal, noise] = shares_at(*path_, t, points);
  return exact_output(*path_, density_, points, signal, noise)
      .view(x.sizes())
      .to(at::kFloat);
}

}  // namespace rsm::verify
