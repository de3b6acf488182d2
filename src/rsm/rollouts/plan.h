#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/rollout.h"
#include "rsm/base/transition.h"
#include "rsm/paths/path.h"
#include "rsm/paths/stochastic_adams.h"

namespace rsm {

/** What rows of one state have in common. The gradient is the same; the others
 * are kept to measure against.
 * all: one network output draws them, one pass trains them.
 * sampling: one output draws them, each is trained by a pass of its own, as in
 * TempFlow-GRPO's release.
 * none: each also evaluates their common state anew. */
enum class Sharing { all, sampling, none };

/** What leads from noise to pictures. euler: the path's ODE steps. multistep:
 * Adams and Bashforth's of second order, with the path's extrapolation(). sa:
 * SA-Solver, which may draw noise. */
enum class Solver { euler, multistep, sa };

/** One with its settings. */
struct Solving {
  Solver solver = Solver::euler;
  StochasticAdams adams = {};  ///< of sa

  /** Its times for a sampler's grid of as many steps: of sa those of solvers of
   * higher order, from the same first one. The last step of a path's own grid
   * begins next to 0, and no polynomial reaches there. */
  std::vector<double> times(const Path& path, std::vector<double> grid) const;
  bool operator==(const Solving&) const = default;
};

/** How rollouts are drawn: data, so that a method asks for the rollout it
 * needs and never drives the sampler. */
struct RolloutPlan {
  /** Where states come from, and what is drawn from them. */
  EstimatorKnobs estimator;
  int64_t steps = 10;  ///< N; the last one draws noise in trajectories alone
  StepNoise noise;     ///< of the stochastic steps
  Sharing sharing = Sharing::all;
  /** Also hand on the states of steps 0..N-2 that do not branch; only for
   * branches. */
  bool anchors = false;
  /** Evaluations of a branch's way to its picture: 0 takes the remaining ODE
   * steps; n > 0 takes n steps of a second-order solver on a grid of its own
   * wherever more ODE steps than that remain. */
  int64_t continuation_steps = 0;
  Solver solver = Solver::euler;  ///< other than euler for pictures alone
  StochasticAdams adams;          ///< of sa
  /** Whether transitions() knows of split_noise. Where not, rows of split steps
   * have noise of this standard deviation, as in Branch-GRPO's release. */
  bool split_noise_recorded = true;
  std::vector<double> weights;  ///< [N] on g(t), measured; none: 1
  /** Rows are drawn with the opposite of their noise: the siblings that are
   * antithetic to those of the same plan without. */
  bool mirrored = false;

  /** Rows of one root (or path, or tree), forward rows with them. */
  int64_t rows_per_root() const;
  /** Pictures one root leads to: one a branch, one a path, a tree's leaves;
   * one more than its rows of a path whose steps are judged. */
  int64_t images_per_root() const;
  /** States one root hands on. */
  int64_t states_per_root() const;
  /** Network evaluations one root costs by itself, text guidance counted once.
   * Branches: (i_last + 1) + sum K_i (N - 1 - i), where i_last is the last
   * branching or anchored step: a root's own output serves its branches. Cheap
   * continuations put min(n, N - 1 - i) for N - 1 - i.
   * Paths and trees: the sum of nodes_at(i), also of the last step; of paths
   * with a window steps_after_window() behind it. Judged steps add N - 1 - i
   * each, for the picture of their state.
   * Where nothing is shared every branch, and every child of a split, costs
   * one more. */
  int64_t evaluations_per_root() const;
  /** Of prompts with so many roots each, which cost one while in one state. */
  int64_t evaluations(int64_t prompts, int64_t members) const;
  /** Whether all roots of a prompt are in one state at `step`: a path's or a
   * tree's that begin alike, as far as no noise was drawn. */
  bool is_common_at(int64_t step) const;

  /** Different states of one root at `step`: children^(splits before) in a
   * tree, 2 of a pair, else 1. */
  int64_t nodes_at(int64_t step) const;
  /** Rows drawn from each of them: K_i, a node's children, 1 on a path; 0 at
   * the last step and at ODE steps of a tree. */
  int64_t branches_at(int64_t step) const;
  /** States one root hands on at `step`, copies counted. */
  int64_t states_at(int64_t step) const;
  /** Those of all steps before, and the same of rows: where a root's states and
   * rows of `step` stand among its own. */
  int64_t states_before(int64_t step) const;
  int64_t rows_before(int64_t step) const;
  /** Forward rows of one root, a state each, which stand after its others: all
   * pictures of a draw, then of the next. */
  int64_t forward_rows_per_root() const;
  /** Whether rows of `step` evaluate their state once more each. */
  bool evaluates_again_at(int64_t step) const;
  /** Evaluations that continue a branch drawn at `step`. */
  int64_t continuation_at(int64_t step) const;
  /** The steps that can be trained: all of a trajectory, else N - 1. */
  int64_t trainable_steps() const { return estimator.trainable_steps(steps); }
  /** Whether every row leads to a picture of its own. */
  bool has_pictures_of_rows() const {
    return estimator.source == EstimatorKnobs::Source::branches ||
           estimator.judges_every_step();
  }
  /** The first step behind a path's window. */
  int64_t window_end() const { return estimator.window.end(trainable_steps()); }
  /** Evaluations from there to the picture. */
  int64_t steps_after_window() const;
  /** Whether these are fewer than the sampler's steps. */
  bool hurries() const { return steps_after_window() < steps - window_end(); }
  /** How many steps a root itself takes: i_last + 1 where it branches. */
  int64_t root_steps() const;
  /** The factor on the noise of `step`: split_noise at splits, else 1. */
  double noise_factor_at(int64_t step) const;
  Solving solving() const { return {solver, adams}; }
  /** [N + 1] the times of the solver's steps. */
  std::vector<double> times(const Path& path) const;

  /** [N] the stochastic step of every index, as a rollout hands it on: s and
   * diffusion of split steps times split_noise, where it is recorded. A
   * deterministic trajectory's step is the ODE's, and its s what it would have.
   * Of pictures noised_rows(), of pairs the same at each time. */
  Transitions transitions(const Path& path) const;
  /** The row in the middle of each draw's share, of pictures noised again. */
  Transitions noised_rows(const Path& path) const;
};

/** The plan of a method. Throws rsm::Error where its knobs contradict; a tree
 * has at most 4096 leaves. */
RolloutPlan make_plan(const Method& method, int64_t steps,
                      const StepNoise& noise, int64_t continuation_steps = 0,
                      Sharing sharing = Sharing::all);

/** The plan of an epoch, counted from 0: where its window lies by then. */
RolloutPlan plan_of_epoch(RolloutPlan plan, int64_t epoch, uint64_t run_seed);

/** The index of what the plan draws for `members` roots of each prompt, which
 * no number drawn can change. `transitions` are the plan's. */
RolloutIndex lay_out(const RolloutPlan& plan, const Transitions& transitions,
                     const Prompts& prompts, int64_t members);

}  // namespace rsm
