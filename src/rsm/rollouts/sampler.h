#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/random.h"
#include "rsm/base/rollout.h"
#include "rsm/paths/path.h"
#include "rsm/rollouts/plan.h"
#include "rsm/rollouts/running_cost.h"
#include "rsm/rollouts/solve.h"

namespace rsm {

/** What to draw: `members` roots (paths, trees) for each of the prompts, whose
 * conditions stand in the same order. Noise is counted by (run seed, epoch,
 * prompt id, member, step, branch): it does not depend on what else is drawn.
 */
struct RolloutRequest {
  Prompts prompts;       ///< [P]
  Condition conditions;  ///< [P]
  int64_t members = 1;
  /** [P] the number of each entry's first member. Empty: 0, and an entry whose
   * prompt stood before goes on where that one ended. */
  std::vector<int64_t> first_member;
  uint64_t run_seed = 0;
  int64_t epoch = 0;
  std::vector<int64_t> latent_shape;  ///< [C,H,W]
  /** [P,C,H,W] float32 states at the grid's first time, where all members of an
   * entry begin. Undefined: each begins with noise of its own. */
  torch::Tensor start = {};

  /** [P] first_member, or what its absence means. */
  std::vector<int64_t> first_members() const;
};

/** Told after each sampler step how many network evaluations of the call are
 * done. */
using OnEvaluations = std::function<void(int64_t)>;

/** Prompt entries [first, first + count) of a request. */
struct PromptRange {
  int64_t first = 0;
  int64_t count = 0;
};

/** Room for the rollout of a request on the path's grid of the plan's steps:
 * its index, and tensors whose values draw() sets. Pictures stand by root;
 * those of a root by (step, branch) of its branches, or by leaf with the leaves
 * of a node together. Throws rsm::Error for a request that does not add up;
 * what the path throws for the plan's noise. */
Rollout make_room(const Path& path, const RolloutPlan& plan,
                  const RolloutRequest& request);

/** Draws what belongs to some of the request's prompts into its places in
 * `out`, and adds to its evaluations. Where rows of the network do not depend
 * on each other, the whole does not depend on its parts. `cost` is what soft
 * returns pay, of plans that have them. Throws rsm::Error for prompts that the
 * request does not have, and for such a plan without a reference. */
void draw(Denoiser& denoiser, const Path& path, const RolloutPlan& plan,
          const RolloutRequest& request, PromptRange part, Rollout& out,
          const OnEvaluations& on_evaluations = {},
          const RunningCost& cost = {});

/** Both, for all prompts. */
Rollout roll_out(Denoiser& denoiser, const Path& path, const RolloutPlan& plan,
                 const RolloutRequest& request,
                 const OnEvaluations& on_evaluations = {},
                 const RunningCost& cost = {});

/** Sees every state and output before its step. */
using OnStep = std::function<void(int64_t step, const torch::Tensor& x,
                                  const torch::Tensor& y)>;

/** Deterministic samples: the path's ODE steps along `times` from noise
 * [B,C,H,W]. */
torch::Tensor sample_ode(Denoiser& denoiser, const Path& path,
                         const std::vector<double>& times, torch::Tensor noise,
                         const ConditionRows& conditions,
                         const OnStep& watch = {});

/** Samples of a solver, along `times` of its own. */
torch::Tensor sample_by(const Solving& solving, Denoiser& denoiser,
                        const Path& path, const std::vector<double>& times,
                        torch::Tensor noise, const ConditionRows& conditions,
                        const NoiseAt& step_noise, const OnStep& watch = {});

/** Initial noise of one sample, [1,C,H,W]. */
torch::Tensor initial_noise(uint64_t run_seed, Purpose purpose, int64_t epoch,
                            const Prompt& prompt, int64_t member,
                            const std::vector<int64_t>& latent_shape);

}  // namespace rsm
