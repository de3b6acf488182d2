#pragma once

#include <cmath>

#include "rsm/base/gate_knobs.h"

namespace rsm {

/** What holds the update back. */
struct RegularisationKnobs {
  /** KL to the reference: per true variance 2 s^2, or 2 s~^2 (= dt times), or
   * unweighted: 4.5^2 <(y - y_ref)^2> / 2 at all times (PCPO on diffusion).
   * No KL: output <(y - y_ref)^2> (VGG-Flow); score M^2 / s^4 of it, that of
   * the step's log-density (Residual grad-DB). elbo: output over 2 s~^2, s~
   * that of Flow-SDE at level 0.7, 0.7 sqrt(t / (1 - min(t, 0.99))) (AWM).
   * short_stride: exact, times what StrengthKnobs says of that. */
  enum class KlForm {
    exact,
    heuristic,
    unweighted,
    output,
    score,
    elbo,
    short_stride
  };
  /** ratio: the PPO form, max(-A R, -A clamp(R)). matching: the hinge
   * max(0, xi |A| + A U), whose importance factor is exactly 1. none: plain
   * score-function gradient, no ratio and no clipping. quadratic: the ratio
   * held by a parabola, -A R + |A| (R - 1)^2 / (2 xi), in place of a clip
   * (SPO, arXiv 2401.16025). */
  enum class Importance { ratio, matching, none, quadratic };
  /** What the clip range bounds: log rho, g log rho, s^2 log rho (fairclip),
   * or s (log rho + bias) (Guard). divergence: the step's KL to the old
   * policy, T1; rows that reached it and go on are dropped (Flow-DPPO, arXiv
   * 2606.11025). */
  enum class ClipIn { log_ratio, strength, variance, centred, divergence };
  /** What rows without an advantage lose. policy: where their group has no
   * spread, their part of the policy's mean. rows: that and their KL, also
   * where they are right at their group's mean. none: nothing; every trained
   * row counts in every mean. whole: that and their KL, and means still count
   * them. */
  enum class Mask { policy, rows, none, whole };

  double beta = 0;
  double reference_guidance = 0;
  double least_pull = 1;
  GateKnobs gate;
  ResetKnobs reset;
  double old = 0;
  KlForm kl_form = KlForm::exact;
  bool pull_rows = true;
  bool anchors = false;
  double anchor_share = 0;
  Importance importance = Importance::matching;
  ClipIn clip_in = ClipIn::log_ratio;
  double clip_range = 1e-4;
  double advantage_clip = 5;
  Mask mask = Mask::policy;

  /** What the clip range allows U over its exponent, to first order. Of a
   * divergence the most that log rho may be: <d eps>^2 <= <d^2>. */
  double log_range() const {
    return clip_in == ClipIn::divergence && importance != Importance::none
               ? std::sqrt(2 * clip_range)
               : clip_range;
  }
  /** Whether the reference pulls under text guidance of its own. */
  bool guides_reference() const { return beta > 0 && reference_guidance > 0; }
  /** Whether what pulls may be another than the model before training, as the
   * loss guides it: by that, or by a reset. */
  bool has_own_reference() const {
    return guides_reference() || (beta > 0 && reset.is_on());
  }
  bool operator==(const RegularisationKnobs&) const = default;
};

}  // namespace rsm
