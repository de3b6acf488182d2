#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/base/reward.h"
#include "rsm/estimators/learnt_scalar.h"
#include "rsm/estimators/reward_gradient.h"
#include "rsm/paths/path.h"

namespace rsm {

/** What estimators ask for gradients and rewards. All must outlive what asks.
 */
struct GradientParts {
  const Reward& reward;  ///< differentiable where gradients are asked for
  const Decoder& decoder;
  const Path& path;
  Denoiser& policy;     ///< what is trained
  Denoiser& reference;  ///< the model before training
  /** What is trained, without text guidance; of a flow alone. */
  Denoiser* plain = nullptr;
  /** What learns beside the policy; of a flow or a surrogate. */
  std::shared_ptr<LearntScalar> learnt = nullptr;
  /** A consistency model, of gradients through one alone. */
  Denoiser* predictor = nullptr;
  /** That take gradients at their trajectories, each at some; null: alone. */
  Communicator* ranks = nullptr;
};

/** Numbers of all that trajectories of `steps` steps go through: the state of
 * every step, then the sample, root by root. */
struct PathNodes {
  int64_t steps;

  int64_t of(int64_t root, int64_t step) const {
    return root * (steps + 1) + std::min(step, steps);
  }
  int64_t root(int64_t node) const { return node / (steps + 1); }
  int64_t step(int64_t node) const { return node % (steps + 1); }
  /** That of a state. */
  int64_t of_state(int64_t state) const {
    return of(state / steps, state % steps);
  }
  bool is_sample(int64_t node) const { return step(node) == steps; }
  /** The rollout's state that a node is. */
  int64_t state(int64_t node) const { return node - root(node); }
};

/** What of how gradients are taken is an epoch's own. */
struct GradientEpoch {
  uint64_t seed = 0;     ///< of the particles' noise
  double norm_clip = 0;  ///< longer ones are scaled down to it; 0: none
  /** [N] of soft returns: by step, factors of |y - y_ref|^2 (cost_factor(),
   * objective/temperature.h) that a node pays for its own step and those behind
   * it. Empty: nothing. */
  std::vector<double> costs = {};

  torch::Tensor clipped(const torch::Tensor& gradient) const {
    return norm_clip > 0 ? clip_gradients(gradient, norm_clip) : gradient;
  }
};

/** reward_gradient() of latents [B,C,H,W] that belong to nodes [B] of an epoch,
 * averaged over GradientKnobs::particles latents about each of them. A latent's
 * noise depends on the epoch's seed, its node and the particle's number alone.
 */
RewardGradient particle_gradient(const torch::Tensor& latents,
                                 const Prompts& prompts,
                                 const std::vector<int64_t>& nodes,
                                 const GradientKnobs& knobs,
                                 const GradientParts& parts,
                                 const GradientEpoch& epoch);

/** Network passes that gradients at these nodes take, forward and backward; of
 * soft returns those through the reference with them. */
int64_t passes_for(const std::vector<int64_t>& nodes, const PathNodes& of,
                   const GradientKnobs& knobs, bool is_soft = false);

/** Pictures of latents [B,C,H,W] whose gradient is taken at once, as a
 * decoder's activations are many times its pictures: of as many pixels as one
 * of 512 by 512 has, 1 to 64 of them. */
int64_t gradients_at_once(const Decoder& decoder, const torch::Tensor& latents);
/** The same of pictures of so many pixels. */
int64_t gradients_at_once(int64_t pixels);

/** The reward at nodes of a rollout of trajectories (rising) and its gradient
 * in x there, as the knobs say, not clipped; float32. With costs, of `adjoint`
 * through the policy, the gradient is that of the reward less
 *
 *     sum over steps l from the node's on of costs[l] |y(x_l) - y_ref(x_l)|^2,
 *
 * the path's noise held fixed. Where there are ranks, a collective call with
 * the same arguments on all. Throws what reward_gradient() does. */
RewardGradient gradients_at(const std::vector<int64_t>& nodes,
                            const Sampled& sampled, const GradientKnobs& knobs,
                            const GradientParts& parts,
                            const GradientEpoch& epoch);

}  // namespace rsm
