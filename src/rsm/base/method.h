#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rsm {

/** How the value guidance is estimated. */
struct EstimatorKnobs {
  /** Where states come from: a stochastic path whose every step is a row
   * (`rollout`), or a deterministic root that branches once (`branches`). */
  enum class Source { rollout, branches };
  /** Rows compared with each other: all of a prompt (a path's rows share its
   * picture's advantage; branches compare per step), of one root and step
   * (`seed`), or of the whole batch. */
  enum class Grouping { prompt, seed, batch };
  /** What a centred reward is divided by: the spread of its group, of all
   * rewards of the epoch, or nothing. */
  enum class Spread { group, global, none };

  Source source = Source::branches;
  Grouping grouping = Grouping::seed;
  Spread spread = Spread::group;
  /** K_i by step; empty for `rollout`. Entries beyond the last trained step
   * are ignored. */
  std::vector<int64_t> branches;
};

/** How strongly guidance acts at each time: g(t) on -A log rho, times scale. */
struct StrengthKnobs {
  /** constant: 1. noise: s / mean(s) is TempFlow's 2.25 s. proportional:
   * zeta dt / w (PCPO). sigma: s / dt = s~ / sqrt(dt) (Guard, fairclip2). */
  enum class Shape { constant, noise, proportional, sigma };
  Shape shape = Shape::constant;
  double scale = 1;
};

/** What holds the update back. */
struct RegularisationKnobs {
  /** KL to the reference: per true variance 2 s^2, or 2 s~^2 (= dt times). */
  enum class KlForm { exact, heuristic };
  /** ratio: the PPO form, max(-A R, -A clamp(R)). matching: the hinge
   * max(0, xi |A| + A U), whose importance factor is exactly 1. none: plain
   * score-function gradient, no ratio and no clipping. */
  enum class Importance { ratio, matching, none };
  /** What the clip range bounds: log rho, g log rho, s^2 log rho (fairclip),
   * or s (log rho + bias) (Guard). */
  enum class ClipIn { log_ratio, strength, variance, centred };

  double beta = 0;
  KlForm kl_form = KlForm::exact;
  /** Reference pull also on times without branches. */
  bool anchors = false;
  Importance importance = Importance::matching;
  ClipIn clip_in = ClipIn::log_ratio;
  double clip_range = 1e-4;
  double advantage_clip = 5;
};

/** One published method or a user's own: a name and three knobs, pure data. */
struct Method {
  std::string name;
  std::string source;   ///< paper and equation
  std::string summary;  ///< one line
  EstimatorKnobs estimator;
  StrengthKnobs strength;
  RegularisationKnobs regularisation;
  /** Quirks of the public release instead of the corrected form. */
  bool as_published = false;
};

}  // namespace rsm
