#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/trajectory_gradients.h"

namespace rsm {

/** What an epoch teaches a value network g, taken before its updates: the slope
 * of g's own loss in its outputs at some points. */
struct Lesson {
  torch::Tensor x;              ///< [P,C,H,W] float32 in host memory
  torch::Tensor t;              ///< [P] float32
  std::vector<int64_t> prompt;  ///< [P] index into the rollout's prompts
  torch::Tensor slope;          ///< [P,C,H,W]
  std::map<std::string, double> losses;  ///< its parts, weights included

  /** What is added to the reference's outputs at the trained states. */
  StateOutputs shift;
  /** [K] of the trained states: norms of g and of the reward's gradient as it
   * acts beside it. */
  torch::Tensor value_norm, guidance_norm;
};

/** What a lesson is made of. Refers to it. */
struct Classroom {
  const Method& method;
  const Sampled& sampled;
  const GradientParts& parts;
  Denoiser& value;             ///< g as the epoch found it
  const Guidance& guidance;    ///< of the trained states
  const GradientEpoch& epoch;  ///< how its gradients were taken
};

/** VGG-Flow's losses (arXiv 2512.05116) and their gradient in g, exact but for
 * the direction of the last difference, which is held.
 *
 * With u = g - h(t) grad r(predicted picture) the velocity that is added to the
 * reference's (h its strength, the gradient as clipped, of the picture that the
 * policy predicts there, its output held), and e the finite difference,
 *
 *     q = [u(x, t - e) - u(x, t)] / e                time
 *         - [v_ref(x + e u) - v_ref(x)] / e          the reference turns it
 *         - [u(x + e (v_ref + u), t) - u(x, t)] / e  the flow carries it
 *     L = consistency mean q^2 + terminal mean [last step] g^2,
 *
 * means over trained states and latent elements. as_published: time counts in
 * thousandths, and q is divided by the square of strength.scale, as in the
 * release, whose steps are e u / scale long and vanish in float32. */
Lesson consistency_lesson(const Classroom& room);

/** Residual grad-DB's losses (arXiv 2412.07775) and their gradient in g. With
 * the score of a step S = (x' - mu) / -s^2, its slope in the step's start
 * B = (d mu / d x)^T (x' - mu) / s^2, and R = scale a^2 grad r (a the picture's
 * share there; a for residual_linear),
 *
 *     L = mean [not last] (S - S_ref - R(x') - g(x'))^2
 *         + backward mean [not last] (B - B_ref + R(x) + g(x))^2
 *         + terminal mean [last] g(x')^2,
 *
 * means over trained steps and latent elements; policy and reference as the
 * epoch found them. */
Lesson balance_lesson(const Classroom& room);

}  // namespace rsm
