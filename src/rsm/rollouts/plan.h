#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"

namespace rsm {

/** What branches of one root and step have in common. The gradient is the same;
 * the others are kept to measure against.
 * all: one network output draws them, one pass trains them.
 * sampling: one output draws them, each is trained by a pass of its own, as in
 * TempFlow-GRPO's release.
 * none: each also evaluates their common state anew. */
enum class Sharing { all, sampling, none };

/** How rollouts are drawn: data, so that a method asks for the rollout it
 * needs and never drives the sampler. */
struct RolloutPlan {
  EstimatorKnobs::Source source = EstimatorKnobs::Source::branches;
  int64_t steps = 10;        ///< N; the last one is always an ODE step
  double noise_level = 0.7;  ///< a of the Flow-SDE step
  /** K_i, [N] (shorter: zeros follow); only for `branches`. */
  std::vector<int64_t> branches;
  /** Also hand on the states of steps 0..N-2 that do not branch. */
  bool anchors = false;
  /** Evaluations of a branch's way to its picture: 0 takes the remaining Euler
   * steps; n > 0 takes n steps of a second-order solver on a grid of its own
   * wherever more Euler steps than that remain. */
  int64_t continuation_steps = 0;

  Sharing sharing = Sharing::all;

  /** Rows drawn from one root (or path). */
  int64_t rows_per_root() const;
  /** Pictures one root leads to. */
  int64_t images_per_root() const;
  /** States one root hands on. */
  int64_t states_per_root() const;
  /** Network evaluations one root costs, text guidance counted once.
   * Branches: (i_last + 1) + sum K_i (N - 1 - i), where i_last is the last
   * branching or anchored step: a root's own output serves its branches. Cheap
   * continuations put min(n, N - 1 - i) for N - 1 - i; where nothing is shared
   * every branch costs one more. */
  int64_t evaluations_per_root() const;

  int64_t branches_at(int64_t step) const;
  /** States one root hands on at `step`. */
  int64_t states_at(int64_t step) const;
  /** Evaluations that continue a branch drawn at `step`. */
  int64_t continuation_at(int64_t step) const;
  /** i_last + 1: how many steps a root itself takes. */
  int64_t root_steps() const;
};

/** The plan of a method. Throws rsm::Error where its knobs contradict. */
RolloutPlan make_plan(const Method& method, int64_t steps, double noise_level,
                      int64_t continuation_steps = 0,
                      Sharing sharing = Sharing::all);

}  // namespace rsm
