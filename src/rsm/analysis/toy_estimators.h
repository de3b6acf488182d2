#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/paths/path.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** Whose paths are measured: those of the model before training, or of what it
 * should become. */
enum class ToyPolicy { tilted, reference };

/** An estimator of the value gradient at a state of one time of the world of
 * three modes, as the engine's own knobs: where its paths go, and what the loss
 * makes of them.
 *
 * ZERO        nothing: 0
 * PPO, GRPO   stochastic paths, rewards times noise: as they are, or less their
 *             group's mean
 * LA0         GRPO whose paths end early, at the picture predicted there
 * MIX         GRPO whose first `split` steps alone draw noise
 * BRANCH      GRPO on a tree: `split` splits into `branch` each
 * FO, FOprev  the reward's gradient in the state itself, or where its step
 *             leads, of the same pictures as LA0's
 * DPS         that of the picture predicted in the state itself
 * SQDF2       that of the one predicted halfway on the ODE
 * ODEFULL     that at the end of the ODE
 * SOFTRETURN  GRPO whose rewards pay for the KL of the path's later steps to
 *             the reference
 * EXPREWARD   GRPO of e^r over its mean, of the reference's paths
 * FOSOFT      the gradient, in the state itself, of the reward at the path's
 * end less what all its steps pay
 *
 * Lookahead rho: paths go on while their timestep is above rho times the first.
 * Source: figure 2 of arXiv 2604.17415 and its public scripts. */
struct ToyEstimator {
  std::string name;
  std::optional<double> lookahead = {};
  int64_t split = 0;   ///< 0: none
  int64_t branch = 0;  ///< 0: none
  Method method = {};
  /** Timesteps of the path, one more than the world's, the last 0: a picture.
   */
  std::vector<int64_t> grid = {};
  bool random = true;    ///< else one sample says all
  bool carried = false;  ///< whether Omega carries its gradient one step back
  std::optional<ToyPolicy> only = {};  ///< whose paths it is for; none: both

  bool is_first_order() const { return method.estimator.is_first_order(); }
  std::shared_ptr<const Path> path() const;
  RolloutPlan plan() const;
  /** Samples one root leads to. */
  int64_t leaves() const;
  /** Network evaluations of `samples`, of which the common first state counts
   * once for each noise drawn in it; those of the reference with them. */
  int64_t evaluations(int64_t samples) const;
  /** "LA0 0.9", "BRANCH 2x4" */
  std::string label() const;
  /** Whether its paths are those of another. */
  bool draws_like(const ToyEstimator& other) const;
};

/** alpha_bar of the timesteps of paths: that of a picture, then the world's. */
std::vector<double> toy_alpha_bars();

/** What every estimator's paths step over: timesteps of the world. */
constexpr int64_t kToyStride = 10;
/** Of figure 2: its own, of which 0.01 of the variance is signal, and another,
 * of which half is. */
inline const std::vector<int64_t> kToyTimesteps = {389, 149};
inline const std::vector<double> kToyLookaheads = {0.9, 0.8, 0.5};

/** All estimators at a timestep of the world, those with the same paths beside
 * each other. Throws rsm::UsageError for a timestep that is not 9 more than a
 * multiple of 10, from 79 to 499, and a lookahead outside [0, 1). */
std::vector<ToyEstimator> toy_estimators(
    int64_t timestep, const std::vector<double>& lookaheads = kToyLookaheads);

}  // namespace rsm
