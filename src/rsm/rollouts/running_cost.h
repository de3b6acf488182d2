#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/rollout.h"
#include "rsm/paths/path.h"
#include "rsm/rollouts/plan.h"

namespace rsm {

/** What a return pays at each step behind its row's own, but the last, which
 * draws no noise: factor |y - y_ref|^2 at the step's state, summed over the
 * latent. With factor = alpha w^2 / 2 that is alpha times the KL of the step to
 * the reference's, the running cost of entropy-regularised control.
 *
 * Every such step counts, also those that a continuation takes by the ODE:
 * there it is the KL of the stochastic step that the plan's sampler would take
 * between the same two times. A row that leads to several pictures pays the
 * mean over them. */
struct RunningCost {
  Denoiser* reference = nullptr;  ///< null: nothing is paid
  /** Of a stochastic step; 0 where that draws no noise. */
  std::function<double(const Transition&)> factor = {};
};

/** The first step whose states lie behind a row's own step. */
int64_t first_paying_step(const RolloutPlan& plan);

/** Evaluations of the reference that one root's costs take: one at every state
 * that pays. Branches: sum K_i (n_i - 1), n_i the evaluations of their way to
 * the picture. Paths and trees: the states of the steps between the first row's
 * and the last. 0 of plans whose returns are not soft. */
int64_t cost_evaluations_per_root(const RolloutPlan& plan);

/** States of paths and trees at which the reference is asked so, rising; none
 * of branches, whose ways hand on no states, nor where returns are not soft. */
std::vector<int64_t> paying_states(const RolloutPlan& plan,
                                   const RolloutIndex& rollout);

/** [N] the factors of the plan's own steps, 0 at the last. */
std::vector<double> factors_of(const RunningCost& cost,
                               const Transitions& transitions);

/** [n] those of a way along `times`, n + 1 of them, of its own: each step has
 * the noise level that the plan's steps have at its time. 0 at the last. */
std::vector<double> factors_along(const RunningCost& cost, const Path& path,
                                  const RolloutPlan& plan,
                                  const std::vector<double>& times);

}  // namespace rsm
