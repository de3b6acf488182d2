#pragma once

#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/path.h"

/** Pictures whose every marginal and ODE are known; for tests alone. */
namespace rsm {

using PathPointer = std::shared_ptr<const Path>;

/** The sampler of Stable Diffusion 3. */
inline PathPointer flow_path() { return std::make_shared<FlowPath>(); }

/** The sampler of Stable Diffusion 1.5. */
inline PathPointer diffusion_path() { return std::make_shared<DdimPath>(); }

inline std::vector<PathPointer> both_paths() {
  return {flow_path(), diffusion_path()};
}

inline std::string name_of(const Path& path) {
  return path.family() == Family::flow ? "flow" : "diffusion";
}

/** Standard deviation of the pictures GaussianDenoiser knows. */
constexpr double kStd = 0.5;

/** The exact output for pictures of N(mean, kStd^2 I), whose mean the prompt
 * says: the path's target at E[picture | x_t] and E[noise | x_t]. Counts its
 * work. Its rows do not depend on each other. */
class GaussianDenoiser : public Denoiser {
 public:
  explicit GaussianDenoiser(PathPointer path) : path_(std::move(path)) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override {
    rows += x.size(0);
    const auto [a, n] = shares(t);
    const auto own = conditions.gathered(at::arange(x.size(0)));
    const auto mean = own.pooled.view({-1, 1, 1, 1});
    const auto share = (x - a * mean) / (a * a * kStd * kStd + n * n);
    return path_->target(mean + a * kStd * kStd * share, n * share);
  }

  /** The output is linear in x. */
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor& t,
                          const ConditionRows& conditions,
                          const OutputGradient& output_gradient) override {
    const auto [a, n] = shares(t);
    const auto variance = a * a * kStd * kStd + n * n;
    return path_->target(a * kStd * kStd / variance, n / variance) *
           output_gradient(0, x.size(0), predict(x, t, conditions));
  }

  int64_t rows = 0;

 private:
  /** Signal and noise, [B,1,1,1]. */
  std::pair<torch::Tensor, torch::Tensor> shares(const torch::Tensor& t) const {
    std::vector<float> signals, noises;
    const auto times = t.accessor<float, 1>();
    for (int64_t b = 0; b < t.size(0); ++b) {
      signals.push_back(static_cast<float>(path_->signal(times[b])));
      noises.push_back(static_cast<float>(path_->noise(times[b])));
    }
    return {torch::tensor(signals).view({-1, 1, 1, 1}),
            torch::tensor(noises).view({-1, 1, 1, 1})};
  }

  PathPointer path_;
};

/** The Gaussian model's outputs, longer: a policy that has learnt. */
class StretchedGaussian : public GaussianDenoiser {
 public:
  using GaussianDenoiser::GaussianDenoiser;
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override {
    return kStretch * GaussianDenoiser::predict(x, t, conditions);
  }
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor& t,
                          const ConditionRows& conditions,
                          const OutputGradient& output_gradient) override {
    return kStretch *
           GaussianDenoiser::pull_back(x, t, conditions, output_gradient);
  }

 private:
  static constexpr double kStretch = 1.2;
};

/** Pictures are the latents. */
class LatentsThemselves : public Decoder {
 public:
  torch::Tensor decode(const torch::Tensor& latents) const override {
    return latents;
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return latents;
  }
  int64_t scale() const override { return 1; }
};

/** Where the ODE of GaussianDenoiser leads x of time t, in closed form: states
 * keep their place among the marginals N(a mean, a^2 kStd^2 + n^2). */
inline torch::Tensor exact_picture(const Path& path, const torch::Tensor& x,
                                   double t, double mean) {
  const auto deviation = [&](double time) {
    return std::hypot(path.signal(time) * kStd, path.noise(time));
  };
  return path.signal(0) * mean +
         deviation(0) / deviation(t) * (x - path.signal(t) * mean);
}

}  // namespace rsm
