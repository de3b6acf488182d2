#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "rsm/analysis/learnt_noise.h"
#include "rsm/analysis/toy_estimators.h"
#include "rsm/analysis/toy_paths.h"
#include "rsm/base/progress.h"

namespace rsm {

struct EstimatorErrorOptions {
  std::vector<int64_t> timesteps = kToyTimesteps;
  std::vector<ToyPolicy> policies = {ToyPolicy::tilted};
  std::vector<double> lookaheads = kToyLookaheads;
  int64_t points = 100;     ///< states at each time
  int64_t samples = 16384;  ///< largest K, a power of 2 from 16 on
  int64_t repeats = 2;      ///< estimates with the largest K, 2 or more
  uint64_t seed = 0;
  int64_t threads = 1;
  /** Networks that learn the policies' scores, and the reference's where it is
   * asked; none: these are exact. */
  std::optional<NoiseLearning> learning = {};
};

/** How far an estimator is from the truth. */
struct EstimatorError {
  ToyEstimator estimator;
  int64_t timestep = 0;
  ToyPolicy policy = ToyPolicy::tilted;
  ToyOmega omega = ToyOmega::none;
  int64_t samples = 0;
  int64_t evaluations = 0;
  /** Of one estimate: the root of the mean square, over two dimensions, of
   * estimate - truth; its mean over states. */
  double rmse = 0;
  double rmse_se = 0;  ///< its standard error; 0 where nothing is random
};

/** The errors of all estimators, in the order of policies, timesteps,
 * estimators, omegas and K = 16, 32, ... `samples`. Smaller K take disjoint
 * parts of the same paths, at most 64 of them. The number of threads changes
 * nothing. Throws rsm::UsageError for options out of range; Interrupted. */
std::vector<EstimatorError> estimator_errors(
    const EstimatorErrorOptions& options, Progress& progress);

}  // namespace rsm
