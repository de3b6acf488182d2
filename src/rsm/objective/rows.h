#pragma once

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/base/rollout.h"
#include "rsm/objective/loss.h"

namespace rsm {

/** What forward rows (ForwardKnobs) are trained by, on their own: a method of
 * pictures, without ratio or clipping. */
Method forward_method(const Method& method);

/** What each row and state of one update weighs.
 *
 * An update is a set of states with all their rows; its loss is one weighted
 * mean, so the weights are counted over all of it and micro-batches only add
 * up. With kappa_i = Kbar / K_i (1 for rows of paths and trees), every step
 * that branches weighs the same whatever its K_i:
 *
 *     policy  row weight  kappa_i / (live rows)
 *     KL      of a row    kappa_i / (rows)
 *             of an anchor (a state without rows)  Kbar / (rows),
 *                         which is what a state with rows weighs.
 *
 * Which rows are live, and what the others lose, says Mask:
 *
 *     policy  not the dead, whose group has no spread; they keep their KL
 *     rows    nor those at their group's mean: no advantage, no KL either, and
 *             (rows) are the live ones (unless the update has none)
 *     none    all that are trained
 *     whole   not the dead, who have no KL either; (live rows) and (rows) count
 *             them all the same
 *
 * Advantages::pull is times a row's KL, not times its pull to y_old.
 *
 * Where an update has anchors only, they are averaged; with pull_rows = false
 * an anchor weighs 1 / (anchors), and rows have no KL.
 * Forward rows are weighed apart by forward_method(), their loss a mean of its
 * own, and all of that is times ForwardKnobs::weight.
 * as_published: an anchor weighs Kbar / (anchors), several times a state with
 * rows. Source: the release of arXiv 2604.17415. */
struct UpdateWeights {
  std::vector<double> row;    ///< [R] of the rollout; 0 outside the update
  std::vector<double> k_ref;  ///< [S] of the rollout; 0 outside the update
  std::vector<double> k_old;  ///< [S] the same of the pull to y_old
  int64_t rows = 0;
  int64_t live_rows = 0;
  int64_t anchors = 0;  ///< states of the update without rows
};

/** First and last + 1 of a state's rows, which are sorted by state. */
std::pair<int64_t, int64_t> rows_of(const RolloutIndex& rollout, int64_t state);

/** Factor of <(y - y_ref)^2> in the pull to the reference, weights apart. */
double kl_factor(const RegularisationKnobs& knobs,
                 const Transition& transition);

/** `states` lists the update's states (indices into the rollout, each once).
 * KL per output is <(y - y_ref)^2> w^2 / 2, times dt in the heuristic form, 4.5
 * for w in the unweighted one, and the others of KlForm; times beta. States
 * with rows count only with pull_rows, anchors only where the method has them.
 * K_i is the number of rows of the state's root and step, Kbar its mean over
 * roots and steps with rows. Throws rsm::Error for a state out of range or
 * repeated, or advantages that are not one a row. */
UpdateWeights update_weights(const Method& method, const RolloutIndex& rollout,
                             const Advantages& advantages,
                             const std::vector<int64_t>& states);

/** What rsm_loss needs beside y. */
struct LossTerms {
  LossStates states;  ///< in the order asked for
  LossRows rows;      ///< all rows of these states, then their slopes'
};

/** The noise [R,C,H,W] of rows that led from x to x_next, where the network
 * said y: (x_next - a_x x - m_y y) / s, in y's dtype; a_x, m_y and s are [R].
 */
torch::Tensor row_noise(const torch::Tensor& x_next, const torch::Tensor& x,
                        const torch::Tensor& y, const torch::Tensor& a_x,
                        const torch::Tensor& m_y, const torch::Tensor& s);

/** The terms of `states`, some of the update that `weights` belongs to, on a
 * device. The rows' direction is what the guidance says, or their noise
 * eps = (x_next - a_x x - m_y y_old) / s, where y_old is `outputs.old`
 * (float32; float64 computes in float64). A state's slope is one more row,
 * behind all others: of direction slope / |slope|, |.| the root mean square,
 * advantage |slope| and the weights of the state's rows together, without
 * trust, clipped as they are. Forward rows are as forward_method() says. The
 * pull to the reference is to its outputs (Outputs::anchor) and the guidance's
 * shift. Throws rsm::Error where outputs of a state are missing.
 */
LossTerms loss_terms(const Method& method, const Rollout& rollout,
                     const Outputs& outputs, const Guidance& guidance,
                     const UpdateWeights& weights,
                     const std::vector<int64_t>& states,
                     torch::Device device = torch::kCPU);

/** The numbers of a row that depend on its time and advantage alone. */
struct RowFactors {
  double slope, exponent, square, post, guidance, trust;
};

/** A row's loss in the space of scores s, as arXiv 2604.17415 writes it, for
 * advantage 1:
 *
 *     c1 |s - (s_ref + gamma Psi)|^2 + c2 |s - s_old|^2
 *
 * c1 and c2 are infinite at t = 1 of flows, where a score says nothing of the
 * output; gamma is infinite for beta = 0 (c1 gamma is not). alpha is beta, or 1
 * where a gradient is followed: c2 is then the weight of the pull to s_old. */
struct ScoreFactors {
  double c1, gamma, c2;
  /** c2 / c1, also at t = 1; infinite for beta = 0, unless c2 is 0. */
  double c2_relative;
};
ScoreFactors score_factors(const Method& method, const Transition& transition);

/** Writes a method's loss of a row in the form of loss.h. With g = g(t):
 *
 *     clip_in      exponent  square                          post
 *     log_ratio    1         1                               g
 *     divergence   1         1                               g
 *     strength     g         1 (matching of another w: g)    1
 *     variance     s^2       1                               g / s^2
 *     centred      s         0                               g / s
 *
 * guidance = g A n / 2, trust = g A n^2 square / 2. Proportional and uniform
 * strength replace w itself, so their matching forms square g in T1 (PCPO).
 * `none` is not clipped and takes the first line: REINFORCE, whose exact
 * gradient keeps the trust term once y has left y_old.
 *
 * A row of a picture has log rho = -U = -(g / 2) (<(y - y_c)^2> -
 * <(y_old - y_c)^2>): guidance = trust = g A / 2; estimators of pictures put
 * another distance and coefficient in their place. So has one of a pair.
 *
 * A row of a trajectory has a gradient for eps / s: guidance = g A m_y / 2,
 * without trust, exact in any y; its loss is -g A m_y <(y - y_old) gradient>.
 */
RowFactors row_factors(const Method& method, const Transition& transition,
                       double advantage);

}  // namespace rsm
