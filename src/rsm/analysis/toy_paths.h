#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rsm/analysis/toy_estimators.h"
#include "rsm/analysis/toy_parts.h"
#include "rsm/base/estimator.h"
#include "rsm/estimators/trajectory_gradients.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** How the gradient where a step leads is carried back to its state: by the
 * step's own Omega, by that of the step to the timestep before (the public
 * scripts), or not at all; `none` of estimators that need none. */
enum class ToyOmega { step, unit, one, none };
/** The factor; 1 for the last two. */
double factor_of(ToyOmega omega, const ToyEstimator& estimator);

/** A state of the world to estimate at. */
struct ToyState {
  int64_t number = 1;  ///< counts its random numbers
  torch::Tensor x;     ///< [2]
};

/** So many estimates, each of so many samples. */
struct ToyBlocks {
  int64_t samples = 1;
  int64_t count = 1;
};

/** Paths that roll_out() draws from one state of the world, as fields of points
 * (toy_parts.h), and what estimators and loss make of them. */
class ToyPaths {
 public:
  /** `samples` of them, for estimators that draw like this one. The networks
   * and the world must outlive it; they are of estimator.path(). The reference
   * is asked by soft returns alone. */
  ToyPaths(const ThreeModes& world, Denoiser& network, Denoiser& reference,
           const ToyEstimator& estimator, const ToyState& state,
           int64_t samples, uint64_t seed);

  bool serves(const ToyEstimator& estimator) const {
    return estimator.draws_like(drawn_);
  }

  /** [count,2] float64 for each of `sizes`: estimates, from disjoint blocks of
   * paths, of the gradient where the loss takes it, before factor_of(). */
  std::vector<torch::Tensor> estimates(
      const ToyEstimator& estimator, const std::vector<ToyBlocks>& sizes) const;

  /** The paths as they were drawn. */
  const Rollout& rollout() const { return fields_.rollout; }

  /** The first steps of `blocks` groups of so many roots, each point a state of
   * its own, with the samples that its rows led to. */
  Sampled first_steps(int64_t roots, int64_t blocks) const;

 private:
  torch::Tensor zeroth(const ToyEstimator& estimator, int64_t roots,
                       int64_t blocks) const;
  torch::Tensor first(const ToyEstimator& estimator) const;
  GradientParts parts() const;

  ToyEstimator drawn_;
  std::shared_ptr<const Path> path_;
  RolloutPlan plan_;
  Denoiser& network_;
  Denoiser& reference_;
  FieldReward reward_;
  FieldDecoder decoder_;
  Sampled fields_;
  Rollout points_;        ///< tensors alone: of all roots, point by point
  torch::Tensor scores_;  ///< of its latents
};

}  // namespace rsm
