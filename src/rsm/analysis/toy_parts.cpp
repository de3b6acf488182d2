#include "rsm/analysis/toy_parts.h"

#include <vector>

namespace rsm {

torch::Tensor MixtureDenoiser::signals(const torch::Tensor& x,
                                       const torch::Tensor& t) const {
  const auto times = t.cpu();
  std::vector<double> signals;
  for (int64_t b = 0; b < times.size(0); ++b) {
    signals.push_back(path_.signal(times[b].item<double>()));
  }
  return torch::tensor(signals, at::kDouble).to(x.options()).view({-1, 1, 1});
}

torch::Tensor MixtureDenoiser::predict(const torch::Tensor& x,
                                       const torch::Tensor& t,
                                       const ConditionRows& /*conditions*/) {
  return mixture_.noise(x.flatten(2), signals(x, t)).view_as(x);
}

torch::Tensor MixtureDenoiser::pull_back(
    const torch::Tensor& x, const torch::Tensor& t,
    const ConditionRows& conditions, const OutputGradient& output_gradient) {
  const auto gradient =
      output_gradient(0, x.size(0), predict(x, t, conditions));
  return mixture_
      .noise_jacobian_times(x.flatten(2), signals(x, t),
                            gradient.to(x.options()).flatten(2))
      .view_as(x);
}

torch::Tensor FieldReward::value_of(const torch::Tensor& images,
                                    const Prompts& /*prompts*/) const {
  return world_.reward(FieldDecoder::points(images).flatten(2)).sum(1);
}

}  // namespace rsm
