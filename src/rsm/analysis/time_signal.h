#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/method.h"
#include "rsm/base/progress.h"
#include "rsm/base/reward.h"
#include "rsm/models/guided_network.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {

/** A number and its standard error; NaN: not known. */
struct Measured {
  double value = 0;
  double error = 0;
};

/** What siblings, K branches of a root at one sampler step, tell of that step.
 *
 * With r(eps) the reward that a branch's noise leads to, its variance is that
 * of its even and its odd part, and only the odd one can pull: A eps has a mean
 * of at most sqrt(odd). It is seen in pairs of opposite noise,
 * odd = E[((r(eps) - r(-eps)) / 2)^2]; a reward that is noisy by itself adds
 * half the variance of that.
 *
 * signal = |G|^2 and noise = tr Sigma are of the loss's gradient in the trained
 * weights: G its mean, Sigma its covariance from root to root of one root with
 * K branches. Of B roots the gradient is as much noise as signal for
 * B = noise / signal, the gradient noise scale (arXiv 1812.06162). */
struct TimeSignal {
  int64_t step = 0;
  double t = 0;
  int64_t branches = 0;  ///< K
  Measured variance;     ///< of a root's rewards
  double spread = 1;     ///< what A is divided by, sibling_spread()
  Measured odd;          ///< part of it
  Measured odd_share;    ///< of the variance
  Measured signal;       ///< unbiased, so that it may be below 0
  Measured noise;
  Measured noise_scale;  ///< in roots; NaN where no signal is seen
  /** Network evaluations of a root: its own way and its K branches', and what
   * trains it; of one branch more. */
  int64_t evaluations = 0, branch_evaluations = 0;
  /** Of a root with K branches: drawn, judged, and its gradient. */
  double draw_seconds = 0, reward_seconds = 0, update_seconds = 0;
};

struct SignalOptions {
  int64_t steps = 10;  ///< N
  StepNoise noise;
  int64_t continuation_steps = 0;  ///< see RolloutPlan
  int64_t branches = 6;            ///< K, 2 or more
  /** Parts of the roots, each of which has its gradient: 3 or more, of equally
   * many roots. All are held in host memory, those of one step at once. */
  int64_t blocks = 8;
};

/** What is asked; all must outlive the call. */
struct SignalParts {
  Denoiser& sampler;       ///< draws, as training's rollouts do
  GuidedNetwork& trained;  ///< what the loss sees
  const std::vector<torch::Tensor>& parameters;
  const Path& path;
  const Decoder& decoder;
  const Reward& reward;
};

/** The method with K siblings at one step and nowhere else: of the same
 * strength, baseline and spread (a running baseline becomes the siblings'
 * mean), its returns hard, without what else it trains. Throws rsm::UsageError
 * for a method whose guidance is not rewards times a step's noise. */
Method sibling_method(Method method, int64_t steps, int64_t step,
                      int64_t branches);

/** |G|^2, tr Sigma of one root and their ratio from the inner products [n,n] of
 * the gradients of n blocks (3 or more) of `roots` roots each. For n = 2 these
 * would be the estimates from two halves of a batch. Errors leave each block
 * out in turn (jackknife). */
struct GradientScale {
  Measured signal, noise, noise_scale;
};
GradientScale gradient_scale(const torch::Tensor& products, int64_t roots);

/** All steps before the last. Roots are the request's, one member a prompt;
 * each step draws its siblings twice, the second time with opposite noise.
 * Rollouts, advantages and gradients are training's own (draw, ZerothOrder,
 * rsm_loss), before a first update and without what pulls to the reference.
 * Throws rsm::UsageError for options that do not add up, and as
 * sibling_method. */
std::vector<TimeSignal> time_signals(const Method& method,
                                     const SignalOptions& options,
                                     const RolloutRequest& request,
                                     const SignalParts& parts,
                                     Progress& progress);

}  // namespace rsm
