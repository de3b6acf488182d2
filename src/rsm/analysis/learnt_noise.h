#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/progress.h"
#include "rsm/worlds/gaussian_mixture.h"

namespace rsm {

/** How a small network learns a mixture. */
struct NoiseLearning {
  int64_t steps = 4000;  ///< of AdamW, its rate falling to 0 along a cosine
  int64_t batch = 1024;  ///< noised points
  double rate = 2e-3;
  int64_t width = 128;  ///< of three hidden layers
  uint64_t seed = 0;
};

/** What a network learns of a mixture's noise from its points, noised at times
 * of a path: where an exact score is too good to be true. Its latents are
 * fields of points (toy_parts.h). Once made it is constant, and may be asked
 * from several threads. */
class LearntNoise : public Denoiser {
 public:
  /** Trains it at the timesteps 1 on of alpha_bars, whose times are their share
   * of all, as those of a DdimPath. Throws Interrupted. */
  LearntNoise(const GaussianMixture& mixture,
              const std::vector<double>& alpha_bars,
              const NoiseLearning& options, Progress& progress);
  ~LearntNoise() override;

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override;
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor& t,
                          const ConditionRows& conditions,
                          const OutputGradient& output_gradient) override;

 private:
  struct Network;
  std::unique_ptr<Network> network_;
};

}  // namespace rsm
