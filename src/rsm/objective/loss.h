#pragma once

#include <torch/types.h>

#include <vector>

#include "rsm/base/method.h"

namespace rsm {

// The one loss, in network-output space. Every method's loss of a row has a
// gradient of the shape (D latent elements, <.> their mean)
//
//     (D/2) dL/dy = sum over pulls: k (y - y_pull)
//                 + sum over rows: weight R c [trust (y - y_old) - p]
//
// with p = guidance direction. R is the importance factor, c in {0, 1}
// clipping; both touch the bracket only. With n = m_y / s and D_y = y - y_old,
// the exact log-ratio of a row is
//
//     log rho = -(T1 + T2),  T1 = n^2 <D_y^2> / 2,  T2 = -n <D_y eps>
//
// per latent element, as the published clip ranges take it. The quantity that
// clipping is measured in is U = exponent (square T1 + T2), and the published
// losses of a row are
//
//     ratio:     post max(-A R, -A clamp(R, 1 - xi, 1 + xi)),  R = exp(-U)
//     matching:  post max(0, xi |A| + A U)
//     none:      post A U
//     quadratic: post (-A R + |A| (R - 1)^2 / (2 xi))
//
// Where the clip range is one of divergence, a row with T1 >= xi and A U < 0 is
// dropped, in the place of clamp and hinge.
//
// Source: arXiv 2604.17415; the forms are derived in docs/methods.md.

/** R rows of S states. `direction` has the dtype of y, `state` is int64, all
 * else float64 on y's device. */
struct LossRows {
  torch::Tensor state;      ///< [R] index of the row's state
  torch::Tensor direction;  ///< [R,C,H,W] noise eps of the row's step
  torch::Tensor guidance;   ///< [R] p = guidance * direction
  torch::Tensor trust;      ///< [R]
  torch::Tensor weight;     ///< [R] of the weighted sum; 0 rejects a row
  torch::Tensor advantage;  ///< [R] A; its sign says which side clips
  torch::Tensor slope;      ///< [R] n = m_y / s
  torch::Tensor exponent;   ///< [R]
  torch::Tensor square;     ///< [R]
  torch::Tensor post;       ///< [R] of the row's loss; the gradient's factor
                            ///< is in guidance and trust already
  RegularisationKnobs::Importance importance =
      RegularisationKnobs::Importance::matching;
  double clip_range = 1e-4;    ///< xi; unused by `none`
  bool by_divergence = false;  ///< xi bounds T1; of ratio and matching
  /** [R] bool: rows that are as of `none` whatever `importance` others have;
   * undefined: there are none such. */
  torch::Tensor unclipped = {};
};

/** A standing pull of S states, which clipping never touches. */
struct Pull {
  torch::Tensor toward;  ///< [S,C,H,W] outputs of a frozen copy, y's dtype
  /** [S] float64, weights of the state's rows (or of the anchor it is)
   * included. */
  torch::Tensor k;
};

/** S states. */
struct LossStates {
  torch::Tensor y_old;  ///< [S,C,H,W] outputs when rows were weighed, y's dtype
  std::vector<Pull> pulls;
};

/** Per row, float64 unless said. */
struct RowLosses {
  torch::Tensor t1, t2;  ///< [R] the two parts of -log rho
  torch::Tensor scaled;  ///< [R] U
  /** [R] R; of `quadratic` R (1 - sign(A) (R - 1) / xi), else 1. */
  torch::Tensor importance;
  torch::Tensor clipped;  ///< [R] bool: the row's bracket is removed (c = 0)
  /** [R] bool: left the clip range on either side, the event that published
   * clip fractions count where there is a ratio; else as `clipped`. */
  torch::Tensor outside;
  torch::Tensor loss;  ///< [R] the published scalar, without `weight`

  torch::Tensor log_ratio() const { return -(t1 + t2); }
};

struct LossResult {
  /** [S,C,H,W] dL/dy of the weighted sum, ready for y.backward(gradient). */
  torch::Tensor gradient;
  double policy = 0;  ///< sum of weight * row loss
  double pull = 0;    ///< sum over pulls of k <(y - toward)^2>
  RowLosses rows;     ///< [R]

  double loss() const { return policy + pull; }
};

/** The rows' ratios, clipping and published scalars at the outputs y. */
RowLosses row_losses(const torch::Tensor& y, const LossStates& states,
                     const LossRows& rows);

/** The loss and its gradient at y [S,C,H,W], float32 or float64 (values only:
 * nothing is differentiated). Rows are clipped one by one and summed around
 * their state; adding the gradients of a partition of the states gives the
 * gradient of the whole. Deterministic on the CPU. R = 0 is allowed.
 * Throws rsm::Error for shapes or dtypes that don't fit. */
LossResult rsm_loss(const torch::Tensor& y, const LossStates& states,
                    const LossRows& rows);

}  // namespace rsm
