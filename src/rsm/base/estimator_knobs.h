#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/budget_knobs.h"
#include "rsm/base/flow_knobs.h"
#include "rsm/base/forward_knobs.h"
#include "rsm/base/gradient_knobs.h"
#include "rsm/base/picture_knobs.h"
#include "rsm/base/surrogate_knobs.h"
#include "rsm/base/tree_knobs.h"
#include "rsm/base/window_knobs.h"

namespace rsm {

/** The noise of a sampler's stochastic step; see paths/path.h.
 * usual: Flow-SDE for flows, DDIM with eta for diffusion. cps: coefficients
 * preserving; constant: DanceGRPO's SDE; precise: the exact step of Flow-SDE
 * for one predicted picture; churn: EDM's, a step too far and new noise (these
 * for flows). even_weight: DDIM with PCPO's uw-sigma (diffusion). */
enum class SamplerNoise { usual, cps, constant, even_weight, precise, churn };

/** How the value guidance is estimated. */
struct EstimatorKnobs {
  /** Where states come from: a stochastic path whose every step is a row
   * (`rollout`), a deterministic root that branches once (`branches`), a
   * stochastic path that splits (`tree`), a path whose every state is
   * trained along a reward's gradient (`trajectory`), samples that are
   * noised again (`pictures`), or two stochastic paths of one start, whose
   * every state is trained along the difference of their pictures (`pairs`). */
  enum class Source { rollout, branches, tree, trajectory, pictures, pairs };
  /** Rows compared with each other: all of a prompt (a path's rows share its
   * picture's advantage; branches compare per step), of one root and step
   * (`seed`), of one root whatever the step, or of the whole batch. */
  enum class Grouping { prompt, seed, root, batch };
  /** What is taken off a reward: its group's mean, that of the others of its
   * group, the running mean of its prompt (DDPO), or nothing. previous_step: a
   * row of a path is judged by the picture that the ODE leads to behind it,
   * less that before it, and what steps gain so by the group's mean (DenseGRPO,
   * arXiv 2601.20218). */
  enum class Baseline { mean, leave_one_out, running, none, previous_step };
  /** What a centred reward is divided by: the spread of its group (of its
   * prompt's buffer, for `running`), of the epoch's rewards, or nothing. */
  enum class Spread { group, global, none };
  /** Several rewards: weighted and summed before they are compared, or compared
   * one by one and their advantages weighted and summed, and the sums then
   * standardised over the epoch (GDPO, arXiv 2601.05242). */
  enum class Combine { rewards, advantages, normalised };
  /** How far from its nearest sibling a good picture is, which it counts by. */
  enum class Diversity { none, latents, pixels };
  /** What a row is compared by, or its gradient is of. hard: the reward. soft:
   * the reward less what later steps pay for their KL to the reference.
   * exponential: e^(reward / alpha) over its group's mean. */
  enum class Return { hard, soft, exponential };

  Source source = Source::branches;
  Return returns = Return::hard;  ///< `return` in configs
  Grouping grouping = Grouping::seed;
  Baseline baseline = Baseline::mean;
  Spread spread = Spread::group;
  Combine combine = Combine::rewards;
  Diversity diversity = Diversity::none;
  double spread_offset = 1e-4;
  bool unbiased_spread = false;
  int64_t buffer_size = 32;  ///< this and the next only for `running`
  int64_t buffer_least = 16;
  std::vector<int64_t> branches;  ///< [N] or [N - 1]; only for `branches`
  std::string profile;  ///< of `branches` or splits; "" where they are listed
  BudgetKnobs budget;   ///< only for `branches`
  TreeKnobs tree;
  WindowKnobs window;                        ///< only for `rollout`
  GradientKnobs gradient;                    ///< only for `trajectory`
  FlowKnobs flow;                            ///< only for `rollout`
  PictureKnobs pictures;                     ///< only for `pictures`
  ForwardKnobs forward;                      ///< only for `branches`
  SurrogateKnobs surrogate;                  ///< not for `trajectory`
  SamplerNoise noise = SamplerNoise::usual;  ///< in configs sampling.sampler
  bool shared_start = false;

  /** Whether guidance is a reward's gradient; else its values times noise. */
  bool is_first_order() const { return source == Source::trajectory; }
  bool is_soft() const { return returns == Return::soft; }
  /** Whether the sampler asks the reference what later steps cost. */
  bool counts_costs() const { return is_soft() && !is_first_order(); }
  /** Rewards as they stand, all in one group. */
  void compare_nothing();
  bool has_flow() const { return flow.use != FlowKnobs::Use::none; }
  bool has_surrogate() const {
    return surrogate.at != SurrogateKnobs::At::none;
  }
  bool is_of_pictures() const { return source == Source::pictures; }
  bool is_of_pairs() const { return source == Source::pairs; }
  /** Whether rows are steps with noise. */
  bool draws_rows() const {
    return !is_first_order() && !is_of_pictures() && !is_of_pairs();
  }
  /** Whether pictures are noised again, and how. */
  bool noises_pictures() const { return is_of_pictures() || forward.is_on(); }
  const PictureKnobs& noising() const {
    return is_of_pictures() ? pictures : forward.pictures;
  }
  /** Whether the reward has to be differentiable. */
  bool needs_gradients() const {
    return is_first_order() ||
           (is_of_pictures() && pictures.follows_gradients());
  }
  /** Whether it asks for the policy's outputs at all trained states. */
  bool compares_outputs() const {
    return has_flow() || gradient.reject_above != 1 ||
           pictures.compares_outputs();
  }
  /** Whether a path's rows have pictures of their own, behind their state's. */
  bool judges_every_step() const {
    return source == Source::rollout && baseline == Baseline::previous_step;
  }
  /** Whether all of a path's rows have the advantage of its one picture. */
  bool rows_share_pictures() const {
    return (source == Source::rollout && !judges_every_step()) ||
           is_of_pictures() || is_of_pairs();
  }
  /** The steps that can be trained, of `steps`: without noise the last one has
   * nothing but a gradient or a pair's difference. Of pictures: their draws. */
  int64_t trainable_steps(int64_t steps) const;
  /** K_i, the rows drawn from a state at `step` of `steps`: the branch count, 1
   * on a path, the children of a tree's node; 0 where nothing is trained. */
  int64_t rows_at(int64_t step, int64_t steps) const;
  bool operator==(const EstimatorKnobs&) const = default;
};

}  // namespace rsm
